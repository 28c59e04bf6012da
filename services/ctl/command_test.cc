#include "services/ctl/command.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "services/ctl/commands.h"

namespace narthex::ctl {
namespace {

// Says which it is and what it was told.
class Echo : public Command {
 public:
  Echo(std::string words, absl::StatusOr<int> result)
      : words_(std::move(words)), result_(std::move(result)) {}
  absl::string_view words() const override { return words_; }
  absl::string_view summary() const override { return "Echo."; }
  void Declare(service::FlagSet& flags) override {
    flags.String("say", &say_, "What.");
    flags.Argument("path", &path_, "Where.", /*required=*/false);
  }
  absl::StatusOr<int> Run(std::ostream& out) override {
    out << words_ << "|" << say_ << "|" << path_;
    return result_;
  }

 private:
  const std::string words_;
  const absl::StatusOr<int> result_;
  std::string say_;
  std::string path_ = "data/";
};

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome Run(const std::vector<std::string>& arguments) {
  CommandList commands;
  commands.push_back(std::make_unique<Echo>("tsdb dump", 0));
  commands.push_back(std::make_unique<Echo>("tsdb dump-all", 3));
  commands.push_back(
      std::make_unique<Echo>("check", absl::NotFoundError("no such file")));
  std::ostringstream out;
  std::ostringstream err;
  Outcome outcome;
  outcome.code = RunCommand(commands, arguments, out, err);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

}  // namespace

TEST_CASE("a command is found by its words and gets the rest") {
  const Outcome outcome = Run({"tsdb", "dump", "--say=x", "dir"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out == "tsdb dump|x|dir");
  CHECK(Run({"tsdb", "dump-all", "tsdb"}).out == "tsdb dump-all||tsdb");
  CHECK(Run({"tsdb", "dump-all"}).code == 3);
}

TEST_CASE("flags may stand before the last words of a command") {
  CHECK(Run({"tsdb", "--say=x", "dump", "dir"}).out == "tsdb dump|x|dir");
  CHECK(Run({"tsdb", "--say", "x", "dump", "dir"}).out == "tsdb dump|x|dir");
  CHECK(Run({"--say=x", "tsdb", "dump"}).out == "tsdb dump|x|data/");
  CHECK(Run({"tsdb", "--say=x"}).code == 1);
}

TEST_CASE("an error of a command ends the program with 1") {
  const Outcome outcome = Run({"check"});
  CHECK(outcome.code == 1);
  CHECK(outcome.err == "no such file\n");
}

TEST_CASE("wrong usage is explained") {
  CHECK(Run({"tsdb", "bogus"}).err ==
        "narthexctl: error: expected command but got \"bogus\", try --help\n");
  CHECK(Run({"check", "--bogus"}).err ==
        "narthexctl: error: unknown long flag '--bogus', try --help\n");
  CHECK(Run({"tsdb", "bogus"}).code == 1);
  CHECK(Run({}).code == 1);
}

TEST_CASE("help names the commands of a group") {
  const Outcome outcome = Run({"tsdb", "--help"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("tsdb dump-all") != std::string::npos);
  CHECK(outcome.out.find("check") == std::string::npos);
  CHECK(Run({"check", "--help"}).out.find("usage: narthexctl check") == 0);
}

TEST_CASE("every command of narthexctl has help") {
  for (const auto& command : AllCommands()) {
    service::FlagSet flags(std::string(command->words()),
                           std::string(command->summary()));
    command->Declare(flags);
    CHECK_FALSE(flags.Help().empty());
  }
}

}  // namespace narthex::ctl
