#include "services/ctl/command.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/service/process.h"

namespace narthex::ctl {
namespace {

constexpr absl::string_view kProgram = "narthexctl";

using Words = std::vector<std::string>;

Words WordsOf(const Command& command) {
  return absl::StrSplit(command.words(), ' ');
}

bool BeginsWith(const Words& words, const Words& prefix) {
  return prefix.size() <= words.size() &&
         std::equal(prefix.begin(), prefix.end(), words.begin());
}

// The words before the first flag that begin a command.
Words GroupIn(const CommandList& commands, const Words& arguments) {
  Words group;
  for (const std::string& word : arguments) {
    group.push_back(word);
    const bool known =
        std::any_of(commands.begin(), commands.end(), [&](const auto& command) {
          return BeginsWith(WordsOf(*command), group);
        });
    if (!known) {
      group.pop_back();
      break;
    }
  }
  return group;
}

// As they are, but with the flags that stand between the words of a command
// behind these: `tsdb create-blocks-from -r openmetrics ...`.
Words WithFlagsBehind(const CommandList& commands, Words arguments) {
  while (true) {
    const Words group = GroupIn(commands, arguments);
    const auto rest =
        arguments.begin() + static_cast<std::ptrdiff_t>(group.size());
    if (rest == arguments.end() || !absl::StartsWith(*rest, "-")) {
      return arguments;
    }
    const auto word =
        std::find_if(rest, arguments.end(), [&](const std::string& next) {
          Words longer = group;
          longer.push_back(next);
          return GroupIn(commands, longer).size() == longer.size();
        });
    if (word == arguments.end()) return arguments;
    std::rotate(rest, word, word + 1);
  }
}

void PrintCommands(const CommandList& commands, const Words& group,
                   std::ostream& out) {
  out << "usage: " << kProgram
      << (group.empty() ? "" : absl::StrCat(" ", absl::StrJoin(group, " ")))
      << " <command> [<args> ...]\n\nCommands:\n";
  for (const auto& command : commands) {
    if (!BeginsWith(WordsOf(*command), group)) continue;
    out << "  " << command->words() << "\n    " << command->summary() << "\n";
  }
}

int Complain(absl::string_view what, std::ostream& err) {
  err << kProgram << ": error: " << what << ", try --help\n";
  return 1;
}

int PrintVersion(std::ostream& out) {
  out << kProgram << ", version " << service::Build().version
      << " (revision: " << service::Build().revision << ")\n";
  return 0;
}

int RunOne(Command& command, const Words& arguments, std::ostream& out,
           std::ostream& err) {
  service::FlagSet flags(absl::StrCat(kProgram, " ", command.words()),
                         std::string(command.summary()));
  command.Declare(flags);
  const absl::Status parsed = flags.Parse(arguments);
  if (flags.wants_version()) return PrintVersion(out);
  if (flags.wants_help()) {
    out << flags.Help();
    return 0;
  }
  if (!parsed.ok()) return Complain(parsed.message(), err);
  const absl::StatusOr<int> code = command.Run(out);
  out.flush();
  if (code.ok()) return *code;
  err << code.status().message() << "\n";
  return 1;
}

}  // namespace

int RunCommand(const CommandList& commands,
               const std::vector<std::string>& arguments, std::ostream& out,
               std::ostream& err) {
  const Words given = WithFlagsBehind(commands, arguments);
  const Words group = GroupIn(commands, given);
  const Words rest(given.begin() + static_cast<long>(group.size()),
                   given.end());
  for (const auto& command : commands) {
    if (WordsOf(*command) == group) return RunOne(*command, rest, out, err);
  }
  const std::string next = rest.empty() ? "--help" : rest.front();
  if (next == "--version") return PrintVersion(out);
  if (next != "--help" && next != "-h") {
    return Complain(absl::StrCat("expected command but got \"", next, "\""),
                    err);
  }
  PrintCommands(commands, group, rest.empty() ? err : out);
  return rest.empty() ? 1 : 0;
}

}  // namespace narthex::ctl
