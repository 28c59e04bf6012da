#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::service {

/// The command line of a service, in Prometheus's manner: `--a.b=value`,
/// `--a.b value`, `--flag` and `--no-flag` for switches, repeated flags for
/// lists. Each flag is bound to a variable that holds the default until
/// Parse(), and that must outlive the set.
class FlagSet {
 public:
  /// `program` and `description` head the help text.
  FlagSet(std::string program, std::string description)
      : program_(std::move(program)), description_(std::move(description)) {}

  void String(absl::string_view name, std::string* value,
              absl::string_view help);
  void Bool(absl::string_view name, bool* value, absl::string_view help);
  void Int(absl::string_view name, std::int64_t* value, absl::string_view help);
  void Double(absl::string_view name, double* value, absl::string_view help);
  /// "15d", "1h30m", "250ms": into milliseconds.
  void Duration(absl::string_view name, std::int64_t* value_ms,
                absl::string_view help);
  /// "512MB": into bytes.
  void Size(absl::string_view name, std::int64_t* value_bytes,
            absl::string_view help);
  /// One of `choices`.
  void Choice(absl::string_view name, std::string* value,
              std::vector<std::string> choices, absl::string_view help);
  /// May be repeated; the first use replaces the default. Values are not
  /// split at commas.
  void Strings(absl::string_view name, std::vector<std::string>* values,
               absl::string_view help);

  /// A flag of Prometheus's that is taken and changes nothing here; one whose
  /// default is "true" or "false" is a switch. `why` begins in lower case.
  void WithoutEffect(absl::string_view name, absl::string_view default_text,
                     absl::string_view why);
  /// Those that the command line gave, with why they have no effect.
  std::vector<std::pair<std::string, std::string>> GivenWithoutEffect() const;

  /// What stands on the command line beside flags, in the order of the calls:
  /// one word, and after all of these any number of further ones. A flag's
  /// name may have a letter for short: `-r`.
  void Argument(absl::string_view name, std::string* value,
                absl::string_view help, bool required);
  void MoreArguments(absl::string_view name, std::vector<std::string>* values,
                     absl::string_view help);
  void Short(char letter, absl::string_view name);

  /// Reads the arguments after the program's name. kInvalidArgument with
  /// kingpin's words ("unknown long flag '--x'"), kCancelled when --help or
  /// --version was given (see wants_help(), wants_version()).
  absl::Status Parse(const std::vector<std::string>& arguments);
  bool wants_help() const { return wants_help_; }
  bool wants_version() const { return wants_version_; }

  /// The text of --help.
  std::string Help() const;
  /// Every flag with its present value, sorted by name: /api/v1/status/flags.
  std::vector<std::pair<std::string, std::string>> Values() const;
  const std::string& program() const { return program_; }

 private:
  struct Flag {
    std::string name;
    std::string help;
    std::string default_text = {};
    bool is_switch = false;
    bool repeats = false;
    char letter = '\0';
    bool given = false;
    std::string without_effect = {};  // Why; empty for what has one.
    std::function<absl::Status(absl::string_view)> set;
    std::function<std::string()> text;
  };
  struct PlainArgument {
    std::string name;
    std::string help;
    bool required = false;
    bool repeats = false;
    std::function<void(absl::string_view)> set;
  };
  void Add(Flag flag);
  absl::Status SetPlain(std::size_t index, absl::string_view text);
  absl::Status CheckRequired(std::size_t given) const;
  Flag* Find(absl::string_view name);
  Flag* FindShort(char letter);

  std::string program_;
  std::string description_;
  std::vector<Flag> flags_;
  std::vector<PlainArgument> arguments_;
  bool wants_help_ = false;
  bool wants_version_ = false;
};

}  // namespace narthex::service
