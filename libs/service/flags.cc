#include "libs/service/flags.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/status.h"

namespace narthex::service {

namespace {

constexpr std::size_t kHelpColumn = 33;
constexpr std::size_t kHelpWidth = 47;

absl::Status BadValue(absl::string_view name, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid value for --", name, ": ", reason));
}

std::string SizeText(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrCat(bytes, kUnits[unit]);
}

// One flag's lines of the help text: its name, and its help wrapped beside.
void AppendHelp(std::string left, absl::string_view help, std::string* out) {
  left.insert(0, "  ");
  absl::StrAppend(out, left);
  if (left.size() + 1 > kHelpColumn) {
    *out += '\n';
    left.clear();
  }
  std::string line;
  const auto flush = [&] {
    out->append(kHelpColumn - left.size(), ' ');
    absl::StrAppend(out, line, "\n");
    left.clear();
    line.clear();
  };
  for (absl::string_view word : absl::StrSplit(help, ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > kHelpWidth) flush();
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  flush();
}

}  // namespace

void FlagSet::Add(Flag flag) {
  flag.default_text = flag.text();
  flags_.push_back(std::move(flag));
}

void FlagSet::String(absl::string_view name, std::string* value,
                     absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .set =
           [value](absl::string_view text) {
             *value = std::string(text);
             return absl::OkStatus();
           },
       .text = [value] { return *value; }});
}

void FlagSet::Bool(absl::string_view name, bool* value,
                   absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .is_switch = true,
       .set =
           [value, name = std::string(name)](absl::string_view text) {
             if (text != "true" && text != "false") {
               return BadValue(name, absl::StrCat("expected true or false, "
                                                  "got ",
                                                  text));
             }
             *value = text == "true";
             return absl::OkStatus();
           },
       .text = [value] { return *value ? "true" : "false"; }});
}

void FlagSet::Int(absl::string_view name, std::int64_t* value,
                  absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .set =
           [value, name = std::string(name)](absl::string_view text) {
             if (absl::SimpleAtoi(text, value)) return absl::OkStatus();
             // Prometheus takes "5e7" too.
             double number = 0;
             if (absl::SimpleAtod(text, &number) && std::fabs(number) < 9e18) {
               *value = static_cast<std::int64_t>(number);
               return absl::OkStatus();
             }
             return BadValue(name,
                             absl::StrCat("expected an integer, got ", text));
           },
       .text = [value] { return absl::StrCat(*value); }});
}

void FlagSet::Double(absl::string_view name, double* value,
                     absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .set =
           [value, name = std::string(name)](absl::string_view text) {
             if (!absl::SimpleAtod(text, value)) {
               return BadValue(name,
                               absl::StrCat("expected a number, got ", text));
             }
             return absl::OkStatus();
           },
       .text = [value] { return absl::StrCat(*value); }});
}

void FlagSet::Duration(absl::string_view name, std::int64_t* value_ms,
                       absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .set =
           [value_ms, name = std::string(name)](absl::string_view text) {
             const auto parsed = base::ParseDuration(text);
             if (!parsed.ok()) return BadValue(name, parsed.status().message());
             *value_ms = *parsed;
             return absl::OkStatus();
           },
       .text = [value_ms] { return base::FormatDuration(*value_ms); }});
}

void FlagSet::Size(absl::string_view name, std::int64_t* value_bytes,
                   absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .set =
           [value_bytes, name = std::string(name)](absl::string_view text) {
             const auto parsed = base::ParseSize(text);
             if (!parsed.ok()) return BadValue(name, parsed.status().message());
             *value_bytes = *parsed;
             return absl::OkStatus();
           },
       .text = [value_bytes] { return SizeText(*value_bytes); }});
}

void FlagSet::Choice(absl::string_view name, std::string* value,
                     std::vector<std::string> choices, absl::string_view help) {
  const std::string all = absl::StrJoin(choices, ", ");
  Add({.name = std::string(name),
       .help = absl::StrCat(help, " One of: [", all, "]"),
       .set =
           [value, all, choices = std::move(choices),
            name = std::string(name)](absl::string_view text) {
             if (std::find(choices.begin(), choices.end(), text) ==
                 choices.end()) {
               return BadValue(
                   name, absl::StrCat("expected one of ", all, ", got ", text));
             }
             *value = std::string(text);
             return absl::OkStatus();
           },
       .text = [value] { return *value; }});
}

void FlagSet::Strings(absl::string_view name, std::vector<std::string>* values,
                      absl::string_view help) {
  Add({.name = std::string(name),
       .help = std::string(help),
       .repeats = true,
       .set =
           [values, first = true](absl::string_view text) mutable {
             if (first) values->clear();
             first = false;
             values->emplace_back(text);
             return absl::OkStatus();
           },
       .text = [values] { return absl::StrJoin(*values, ","); }});
}

void FlagSet::WithoutEffect(absl::string_view name,
                            absl::string_view default_text,
                            absl::string_view why) {
  auto value = std::make_shared<std::string>(default_text);
  Add({.name = std::string(name),
       .help =
           absl::StrCat("Known to Prometheus, without effect here: ", why, "."),
       .is_switch = default_text == "true" || default_text == "false",
       .without_effect = std::string(why),
       .set =
           [value](absl::string_view text) {
             *value = std::string(text);
             return absl::OkStatus();
           },
       .text = [value] { return *value; }});
}

std::vector<std::pair<std::string, std::string>> FlagSet::GivenWithoutEffect()
    const {
  std::vector<std::pair<std::string, std::string>> given;
  for (const Flag& flag : flags_) {
    if (flag.given && !flag.without_effect.empty()) {
      given.emplace_back(flag.name, flag.without_effect);
    }
  }
  return given;
}

FlagSet::Flag* FlagSet::Find(absl::string_view name) {
  const auto it =
      std::find_if(flags_.begin(), flags_.end(),
                   [&](const Flag& flag) { return flag.name == name; });
  return it == flags_.end() ? nullptr : &*it;
}

void FlagSet::Argument(absl::string_view name, std::string* value,
                       absl::string_view help, bool required) {
  arguments_.push_back(
      {.name = std::string(name),
       .help = std::string(help),
       .required = required,
       .set = [value](absl::string_view text) { *value = std::string(text); }});
}

void FlagSet::MoreArguments(absl::string_view name,
                            std::vector<std::string>* values,
                            absl::string_view help) {
  arguments_.push_back({.name = std::string(name),
                        .help = std::string(help),
                        .repeats = true,
                        .set = [values](absl::string_view text) {
                          values->emplace_back(text);
                        }});
}

void FlagSet::Short(char letter, absl::string_view name) {
  Flag* flag = Find(name);
  if (flag != nullptr) flag->letter = letter;
}

FlagSet::Flag* FlagSet::FindShort(char letter) {
  const auto it =
      std::find_if(flags_.begin(), flags_.end(),
                   [&](const Flag& flag) { return flag.letter == letter; });
  return it == flags_.end() ? nullptr : &*it;
}

absl::Status FlagSet::SetPlain(std::size_t index, absl::string_view text) {
  if (index >= arguments_.size() &&
      (arguments_.empty() || !arguments_.back().repeats)) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected ", text));
  }
  arguments_[std::min(index, arguments_.size() - 1)].set(text);
  return absl::OkStatus();
}

absl::Status FlagSet::CheckRequired(std::size_t given) const {
  for (std::size_t i = given; i < arguments_.size(); ++i) {
    if (!arguments_[i].required) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "required argument '", arguments_[i].name, "' not provided"));
  }
  return absl::OkStatus();
}

absl::Status FlagSet::Parse(const std::vector<std::string>& arguments) {
  std::size_t plain = 0;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    wants_help_ |= argument == "-h" || argument == "--help";
    wants_version_ |= argument == "--version";
    if (wants_help_ || wants_version_) {
      return absl::CancelledError("help or version was asked for");
    }
    if (!absl::StartsWith(argument, "-") || argument == "-") {
      NARTHEX_RETURN_IF_ERROR(SetPlain(plain++, argument));
      continue;
    }
    Flag* flag = nullptr;
    bool has_value = false;
    absl::string_view value;
    if (absl::ConsumePrefix(&argument, "--")) {
      const auto equals = argument.find('=');
      const absl::string_view name = argument.substr(0, equals);
      has_value = equals != absl::string_view::npos;
      if (has_value) value = argument.substr(equals + 1);
      flag = Find(name);
      if (flag == nullptr && absl::StartsWith(name, "no-") && !has_value) {
        flag = Find(absl::StripPrefix(name, "no-"));
        if (flag != nullptr && flag->is_switch) {
          flag->given = true;
          NARTHEX_RETURN_IF_ERROR(flag->set("false"));
          continue;
        }
        flag = nullptr;
      }
      if (flag == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("unknown long flag '--", name, "'"));
      }
    } else {
      flag = FindShort(argument[1]);
      if (flag == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("unknown short flag '", argument, "'"));
      }
      has_value = argument.size() > 2;
      value = argument.substr(2);
    }
    flag->given = true;
    if (has_value) {
      NARTHEX_RETURN_IF_ERROR(flag->set(value));
    } else if (flag->is_switch) {
      NARTHEX_RETURN_IF_ERROR(flag->set("true"));
    } else if (i + 1 < arguments.size()) {
      NARTHEX_RETURN_IF_ERROR(flag->set(arguments[++i]));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("expected argument for flag '--", flag->name, "'"));
    }
  }
  return CheckRequired(plain);
}

std::string FlagSet::Help() const {
  std::string out = absl::StrCat("usage: ", program_, " [<flags>]");
  for (const PlainArgument& argument : arguments_) {
    absl::StrAppend(&out, argument.required ? " <" : " [<", argument.name,
                    argument.required ? ">" : ">]",
                    argument.repeats ? "..." : "");
  }
  absl::StrAppend(&out, "\n\n", description_, "\n\nFlags:\n");
  AppendHelp("-h, --help", "Show this help.", &out);
  AppendHelp("    --version", "Show the version.", &out);
  for (const Flag& flag : flags_) {
    std::string left =
        flag.letter == '\0'
            ? "    "
            : absl::StrCat("-", std::string(1, flag.letter), ", ");
    absl::StrAppend(&left, "--", flag.is_switch ? "[no-]" : "", flag.name);
    if (!flag.is_switch) absl::StrAppend(&left, "=", flag.default_text);
    if (flag.repeats) left += " ...";
    AppendHelp(std::move(left), flag.help, &out);
  }
  if (!arguments_.empty()) out += "\nArgs:\n";
  for (const PlainArgument& argument : arguments_) {
    AppendHelp(absl::StrCat("[<", argument.name, ">]"), argument.help, &out);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> FlagSet::Values() const {
  std::vector<std::pair<std::string, std::string>> values;
  for (const Flag& flag : flags_) values.emplace_back(flag.name, flag.text());
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace narthex::service
