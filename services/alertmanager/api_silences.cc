#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "services/alertmanager/alert_parser.h"
#include "services/alertmanager/api.h"
#include "services/alertmanager/api_answer.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

void AppendMatcher(const model::Matcher& matcher, std::string* out) {
  using model::MatchType;
  const bool is_regex = matcher.type() == MatchType::kRegex ||
                        matcher.type() == MatchType::kNotRegex;
  const bool is_equal = matcher.type() == MatchType::kEqual ||
                        matcher.type() == MatchType::kRegex;
  absl::StrAppend(out, "{\"isEqual\":", is_equal ? "true" : "false",
                  ",\"isRegex\":", is_regex ? "true" : "false", ",\"name\":");
  AppendJsonString(matcher.name(), out);
  *out += ",\"value\":";
  AppendJsonString(matcher.value(), out);
  *out += '}';
}

void AppendAnnotations(const Silence& silence, std::string* out) {
  if (silence.annotations.empty()) return;
  *out += ",\"annotations\":{";
  bool first = true;
  for (const auto& [name, value] : silence.annotations) {
    if (!first) *out += ',';
    first = false;
    AppendJsonString(name, out);
    *out += ':';
    AppendJsonString(value, out);
  }
  *out += '}';
}

void AppendSilence(const Silence& silence, std::int64_t now_ms,
                   std::string* out) {
  *out += "{\"id\":";
  AppendJsonString(silence.id, out);
  absl::StrAppend(out, ",\"status\":{\"state\":\"",
                  SilenceStateName(silence.StateAt(now_ms)),
                  "\"},\"updatedAt\":\"", FormatApiTime(silence.updated_at_ms),
                  "\"");
  AppendAnnotations(silence, out);
  *out += ",\"comment\":";
  AppendJsonString(silence.comment, out);
  *out += ",\"createdBy\":";
  AppendJsonString(silence.created_by, out);
  absl::StrAppend(out, ",\"endsAt\":\"", FormatApiTime(silence.ends_at_ms),
                  "\",\"matchers\":[");
  for (std::size_t i = 0; i < silence.matchers.size(); ++i) {
    if (i > 0) *out += ',';
    AppendMatcher(silence.matchers[i], out);
  }
  absl::StrAppend(out, "],\"startsAt\":\"", FormatApiTime(silence.starts_at_ms),
                  "\"}");
}

/// A matcher as JSON has it.
struct PostedMatcher {
  std::string name;
  std::string value;
  bool is_regex = false;
  bool is_equal = true;
  bool has_name = false;
  bool has_value = false;
  bool has_is_regex = false;
};

/// A silence as JSON has it, and which fields were there.
struct PostedSilence {
  Silence silence;
  std::vector<PostedMatcher> matchers;
  bool has_comment = false;
  bool has_created_by = false;
  bool has_matchers = false;
};

bool ReadText(JsonReader& json, std::string* out, bool* has) {
  if (json.TakeNull()) return true;
  *has = true;
  return json.String(out);
}

void ReadMatcher(JsonReader& json, PostedMatcher* out) {
  if (!json.BeginObject()) return;
  std::string name;
  while (json.NextField(&name)) {
    if (name == "name") {
      ReadText(json, &out->name, &out->has_name);
    } else if (name == "value") {
      ReadText(json, &out->value, &out->has_value);
    } else if (name == "isRegex") {
      if (!json.TakeNull()) out->has_is_regex = json.Bool(&out->is_regex);
    } else if (name == "isEqual") {
      if (!json.TakeNull()) json.Bool(&out->is_equal);
    } else {
      json.Skip();
    }
  }
}

void ReadTime(JsonReader& json, std::int64_t* ms) {
  std::string text;
  if (json.TakeNull() || !json.String(&text)) return;
  if (!ParseApiTime(text, ms)) {
    json.Fail(absl::StrCat("parsing time ", base::Quote(text), " as RFC 3339"));
  }
}

void ReadAnnotations(JsonReader& json,
                     std::map<std::string, std::string>* out) {
  if (json.TakeNull() || !json.BeginObject()) return;
  std::string name;
  while (json.NextField(&name)) json.String(&(*out)[name]);
}

void ReadMatchers(JsonReader& json, PostedSilence* out) {
  if (json.TakeNull() || !json.BeginArray()) return;
  out->has_matchers = true;
  while (json.NextItem()) ReadMatcher(json, &out->matchers.emplace_back());
}

absl::Status ReadSilence(absl::string_view body, PostedSilence* out) {
  if (absl::StripAsciiWhitespace(body).empty()) {
    return FormError(kRequired, "silence in body is required");
  }
  JsonReader json(body);
  Silence& silence = out->silence;
  bool has_id = false;
  std::string name;
  if (!json.BeginObject()) return json.status();
  while (json.NextField(&name)) {
    if (name == "id") {
      ReadText(json, &silence.id, &has_id);
    } else if (name == "comment") {
      ReadText(json, &silence.comment, &out->has_comment);
    } else if (name == "createdBy") {
      ReadText(json, &silence.created_by, &out->has_created_by);
    } else if (name == "startsAt") {
      ReadTime(json, &silence.starts_at_ms);
    } else if (name == "endsAt") {
      ReadTime(json, &silence.ends_at_ms);
    } else if (name == "annotations") {
      ReadAnnotations(json, &silence.annotations);
    } else if (name == "matchers") {
      ReadMatchers(json, out);
    } else {
      json.Skip();
    }
  }
  json.End();
  return json.status();
}

absl::Status CheckForm(const PostedSilence& posted) {
  const auto required = [](absl::string_view field) {
    return FormError(kRequired, absl::StrCat(field, " in body is required"));
  };
  if (!posted.has_comment) return required("comment");
  if (!posted.has_created_by) return required("createdBy");
  if (posted.silence.ends_at_ms == kNoTime) return required("endsAt");
  if (!posted.has_matchers) return required("matchers");
  if (posted.matchers.empty()) {
    return FormError(kTooFewItems,
                     "matchers in body should have at least 1 items");
  }
  for (std::size_t i = 0; i < posted.matchers.size(); ++i) {
    const PostedMatcher& matcher = posted.matchers[i];
    if (!matcher.has_is_regex) {
      return required(absl::StrCat("matchers.", i, ".isRegex"));
    }
    if (!matcher.has_name)
      return required(absl::StrCat("matchers.", i, ".name"));
    if (!matcher.has_value) {
      return required(absl::StrCat("matchers.", i, ".value"));
    }
  }
  if (posted.silence.starts_at_ms == kNoTime) return required("startsAt");
  return absl::OkStatus();
}

absl::Status TakeMatchers(PostedSilence* posted) {
  using model::MatchType;
  for (std::size_t i = 0; i < posted->matchers.size(); ++i) {
    const PostedMatcher& from = posted->matchers[i];
    const MatchType type =
        from.is_regex
            ? (from.is_equal ? MatchType::kRegex : MatchType::kNotRegex)
            : (from.is_equal ? MatchType::kEqual : MatchType::kNotEqual);
    auto matcher = model::Matcher::Create(type, from.name, from.value);
    if (!matcher.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "invalid silence: invalid label matcher ", i,
          " in set 0: invalid regular expression ", base::Quote(from.value),
          ": ", matcher.status().message()));
    }
    posted->silence.matchers.push_back(*std::move(matcher));
  }
  return absl::OkStatus();
}

/// Active ones first, the next to end at the top; then pending ones, the next
/// to start at the top; then expired ones, the last to end at the top.
bool ListsBefore(const Silence& a, const Silence& b, std::int64_t now_ms) {
  const auto rank = [now_ms](const Silence& silence) {
    switch (silence.StateAt(now_ms)) {
      case SilenceState::kActive:
        return 0;
      case SilenceState::kPending:
        return 1;
      case SilenceState::kExpired:
        return 2;
    }
    return 2;
  };
  const int rank_a = rank(a);
  if (const int rank_b = rank(b); rank_a != rank_b) return rank_a < rank_b;
  if (rank_a == 0) return a.ends_at_ms < b.ends_at_ms;
  if (rank_a == 1) return a.starts_at_ms < b.starts_at_ms;
  return a.ends_at_ms > b.ends_at_ms;
}

/// Every matcher of the filter must be one of the silence's own.
bool HasMatchers(const Silence& silence,
                 const std::vector<model::Matcher>& filter) {
  return std::all_of(
      filter.begin(), filter.end(), [&](const model::Matcher& wanted) {
        return std::find(silence.matchers.begin(), silence.matchers.end(),
                         wanted) != silence.matchers.end();
      });
}

bool CheckUuid(const http::Request& request, http::Response& response) {
  const absl::string_view id = request.PathParam("silenceID");
  if (IsUuid(id)) return true;
  SendFormError(response, 422, kWrongType,
                absl::StrCat("silenceID in path must be of type uuid: ",
                             base::Quote(id)));
  return false;
}

}  // namespace

void Api::GetSilences(const http::Request& request, http::Response& response) {
  const auto filter =
      MatcherParams(request, "filter", alertmanager_.options().matcher_syntax);
  if (!filter.ok()) return SendError(response, 400, filter.status().message());
  const std::int64_t now = alertmanager_.clock().NowMs();
  const bool wanted[] = {BoolParam(request, "pending", true),
                         BoolParam(request, "active", true),
                         BoolParam(request, "expired", true)};
  std::vector<SilencePtr> silences = alertmanager_.silences().All();
  silences.erase(
      std::remove_if(
          silences.begin(), silences.end(),
          [&](const SilencePtr& silence) {
            return !wanted[static_cast<int>(silence->StateAt(now))] ||
                   !HasMatchers(*silence, *filter);
          }),
      silences.end());
  std::sort(silences.begin(), silences.end(),
            [now](const SilencePtr& a, const SilencePtr& b) {
              return ListsBefore(*a, *b, now);
            });
  AnswerWriter answer(response);
  answer.buffer() += '[';
  for (std::size_t i = 0; i < silences.size(); ++i) {
    if (i > 0) answer.buffer() += ',';
    AppendSilence(*silences[i], now, &answer.buffer());
    if (!answer.Continue()) return;
  }
  answer.buffer() += ']';
  answer.Finish();
}

void Api::PostSilences(const http::Request& request, http::Response& response) {
  if (!CheckJsonBody(request, response)) return;
  PostedSilence posted;
  absl::Status status = ReadSilence(request.body, &posted);
  if (status.ok()) status = CheckForm(posted);
  if (!status.ok()) return SendFormError(response, status, "silence");
  if (posted.silence.starts_at_ms >= posted.silence.ends_at_ms) {
    return SendError(response, 400,
                     "Failed to create silence: start time must be before end "
                     "time");
  }
  if (posted.silence.ends_at_ms < alertmanager_.clock().NowMs()) {
    return SendError(response, 400,
                     "Failed to create silence: end time can't be in the past");
  }
  status = TakeMatchers(&posted);
  if (!status.ok()) return SendError(response, 400, status.message());
  const std::string created_by = posted.silence.created_by;
  const auto id = alertmanager_.silences().Set(std::move(posted.silence));
  if (!id.ok()) {
    const int code = absl::IsNotFound(id.status())   ? 404
                     : absl::IsInternal(id.status()) ? 500
                                                     : 400;
    return SendError(response, code, id.status().message());
  }
  if (alertmanager_.options().log_silences) {
    alertmanager_.log().Info("silence set",
                             {{"id", *id}, {"created_by", created_by}});
  }
  SendJson(response, absl::StrCat("{\"silenceID\":\"", *id, "\"}"));
}

void Api::GetSilence(const http::Request& request, http::Response& response) {
  if (!CheckUuid(request, response)) return;
  const SilencePtr silence =
      alertmanager_.silences().Get(std::string(request.PathParam("silenceID")));
  if (silence == nullptr) {
    response.headers().Set("Cache-Control", "no-store");
    response.SetStatus(404);
    return;
  }
  std::string json;
  AppendSilence(*silence, alertmanager_.clock().NowMs(), &json);
  SendJson(response, std::move(json));
}

void Api::DeleteSilence(const http::Request& request,
                        http::Response& response) {
  if (!CheckUuid(request, response)) return;
  const std::string id(request.PathParam("silenceID"));
  const absl::Status status = alertmanager_.silences().Expire(id);
  if (status.ok() && alertmanager_.options().log_silences) {
    alertmanager_.log().Info("silence expired", {{"id", id}});
  }
  response.headers().Set("Cache-Control", "no-store");
  if (absl::IsNotFound(status)) {
    response.SetStatus(404);
  } else if (!status.ok()) {
    SendError(response, 500, status.message());
  }
}

}  // namespace narthex::alertmanager
