#include "libs/tmpl/alertmanager_functions.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/tmpl/go_time.h"
#include "libs/tmpl/json.h"
#include "libs/tmpl/text_functions.h"

namespace narthex::tmpl {
namespace {

using Args = absl::Span<const Value>;

absl::StatusOr<Value> Join(Args args) {
  std::vector<absl::string_view> parts;
  for (const Value& part : args[1].list()) {
    if (!part.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected []string; found ", part.TypeName()));
    }
    parts.push_back(part.string_value());
  }
  return Value::String(absl::StrJoin(parts, args[0].string_value()));
}

bool IsHex(char c) {
  return absl::ascii_isxdigit(static_cast<unsigned char>(c));
}

absl::StatusOr<Value> UrlUnescape(Args args) {
  const std::string& text = args[0].string_value();
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const absl::string_view digits = absl::string_view(text).substr(i + 1, 2);
      if (digits.size() != 2 || !IsHex(digits[0]) || !IsHex(digits[1])) {
        return absl::InvalidArgumentError(
            absl::StrCat("invalid URL escape \"%", digits, "\""));
      }
      out += absl::HexStringToBytes(digits);
      i += 2;
    }
  }
  return Value::String(std::move(out));
}

absl::StatusOr<Value> InZone(Args args) {
  const std::string& name = args[0].string_value();
  absl::TimeZone zone = absl::UTCTimeZone();
  if (name == "Local") {
    zone = absl::LocalTimeZone();
  } else if (!name.empty() && !absl::LoadTimeZone(name, &zone)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown time zone ", name));
  }
  return Value::OfTime({args[1].time_value().at, zone});
}

absl::StatusOr<Value> MustToDate(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const Time time, ParseTime(args[0].string_value(),
                                                      args[1].string_value()));
  return Value::OfTime(time);
}

absl::StatusOr<Value> ToDate(Args args) {
  const auto time = ParseTime(args[0].string_value(), args[1].string_value());
  return Value::OfTime(time.ok() ? *time : ZeroTime());
}

absl::StatusOr<Value> Base64Decode(Args args) {
  std::string out;
  if (!absl::WebSafeBase64Unescape(args[0].string_value(), &out)) {
    return absl::InvalidArgumentError("illegal base64 data");
  }
  return Value::String(std::move(out));
}

absl::StatusOr<Value> Dict(Args args) {
  if (args.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        "dict expects an even number of arguments");
  }
  Value::Map map;
  for (std::size_t i = 0; i < args.size(); i += 2) {
    if (!args[i].is_string()) {
      return absl::InvalidArgumentError("dict keys must be strings");
    }
    map[args[i].string_value()] = args[i + 1];
  }
  return Value::OfMap(std::move(map));
}

absl::StatusOr<Value> Append(Args args) {
  Value::List items = args[0].list();
  items.insert(items.end(), args.begin() + 1, args.end());
  return Value::OfList(std::move(items));
}

absl::StatusOr<Value> MakeList(Args args) {
  return Value::OfList(Value::List(args.begin(), args.end()));
}

absl::StatusOr<Value> Json(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(std::string json, ToJson(args[0]));
  return Value::String(std::move(json));
}

FuncMap TimeFunctions(const std::function<std::int64_t()>& now_ms) {
  return {
      {"now",
       {"",
        [now_ms](Args) {
          return Value::OfTime(
              {absl::FromUnixMillis(now_ms()), absl::LocalTimeZone()});
        }}},
      {"since",
       {"t",
        [now_ms](Args args) {
          return Value::Duration(absl::ToInt64Nanoseconds(
              absl::FromUnixMillis(now_ms()) - args[0].time_value().at));
        }}},
      {"date",
       {"st",
        [](Args args) {
          return Value::String(
              FormatTime(args[1].time_value(), args[0].string_value()));
        }}},
      {"tz", {"st", InZone}},
      {"toDate", {"ss", ToDate}},
      {"mustToDate", {"ss", MustToDate}},
  };
}

// Renders the templates in data.RouteLabels, which may use each other.
class RouteLabels {
 public:
  RouteLabels(const TemplateSet& set, const Value& data)
      : set_(set), data_(data) {
    functions_["routeLabels"] = {
        "s", [this](Args args) { return Render(args[0].string_value()); }};
  }

  const FuncMap& functions() const { return functions_; }

 private:
  absl::StatusOr<Value> Render(const std::string& name) {
    if (std::find(active_.begin(), active_.end(), name) != active_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("route label ", name,
                       " refers to itself: ", absl::StrJoin(active_, " -> ")));
    }
    const Value* labels = data_.Field("RouteLabels");
    if (labels == nullptr || labels->kind() != Value::Kind::kMap) {
      return Value::String("");
    }
    const auto it = labels->map().find(name);
    if (it == labels->map().end()) return Value::String("");
    active_.push_back(name);
    auto text =
        set_.ExecuteText("", it->second.string_value(), data_,
                         {/*html=*/false, MissingKey::kZero, &functions_});
    active_.pop_back();
    if (!text.ok()) return text.status();
    return Value::String(*std::move(text));
  }

  const TemplateSet& set_;
  const Value& data_;
  FuncMap functions_;
  std::vector<std::string> active_;
};

}  // namespace

FuncMap AlertmanagerFunctions(std::function<std::int64_t()> now_ms) {
  FuncMap functions = {
      {"title",
       {"s",
        [](Args args) {
          return Value::String(Title(args[0].string_value(), true));
        }}},
      {"trimSpace",
       {"s",
        [](Args args) {
          return Value::String(
              std::string(absl::StripAsciiWhitespace(args[0].string_value())));
        }}},
      {"join", {"sl", Join}},
      {"safeUrl",
       {"s",
        [](Args args) {
          return Value::String(args[0].string_value(), Safety::kUrl);
        }}},
      {"urlUnescape", {"s", UrlUnescape}},
      {"stringSlice", {"s*", MakeList}},
      {"toJson", {"a", Json}},
      {"base64encode",
       {"s",
        [](Args args) {
          // Padded, unlike Abseil's own web-safe form.
          std::string out = absl::Base64Escape(args[0].string_value());
          std::replace(out.begin(), out.end(), '+', '-');
          std::replace(out.begin(), out.end(), '/', '_');
          return Value::String(std::move(out));
        }}},
      {"base64decode", {"s", Base64Decode}},
      {"list", {"a*", MakeList}},
      {"append", {"la*", Append}},
      {"dict", {"a*", Dict}},
      {"routeLabels", {"s", [](Args) { return Value::String(""); }}},
  };
  functions.merge(TextFunctions());
  functions.merge(TimeFunctions(std::move(now_ms)));
  return functions;
}

absl::StatusOr<std::string> ExpandAlertmanager(const TemplateSet& set,
                                               absl::string_view text,
                                               const Value& data, bool html) {
  if (text.empty()) return std::string();
  const RouteLabels route_labels(set, data);
  return set.ExecuteText("", text, data,
                         {html, MissingKey::kZero, &route_labels.functions()});
}

}  // namespace narthex::tmpl
