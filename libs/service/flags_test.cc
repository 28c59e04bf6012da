#include "libs/service/flags.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"

namespace narthex::service {

namespace {

struct Values {
  std::string text = "default";
  bool on = true;
  bool off = false;
  std::int64_t count = 3;
  double ratio = 0.5;
  std::int64_t duration_ms = 60'000;
  std::int64_t bytes = 1024;
  std::string level = "info";
  std::vector<std::string> list = {"a"};
};

FlagSet MakeFlags(Values* values) {
  FlagSet flags("narthex-test", "A test.");
  flags.String("a.text", &values->text, "Some text.");
  flags.Bool("a.on", &values->on, "On unless told.");
  flags.Bool("a.off", &values->off, "Off unless told.");
  flags.Int("a.count", &values->count, "How many.");
  flags.Double("a.ratio", &values->ratio, "How much.");
  flags.Duration("a.duration", &values->duration_ms, "How long.");
  flags.Size("a.size", &values->bytes, "How large.");
  flags.Choice("log.level", &values->level, {"debug", "info"}, "Which.");
  flags.Strings("a.list", &values->list, "Which ones.");
  return flags;
}

}  // namespace

TEST_CASE("flags are read with and without an equals sign") {
  Values values;
  FlagSet flags = MakeFlags(&values);
  REQUIRE(flags
              .Parse({"--a.text=x=y", "--a.count", "-7", "--no-a.on", "--a.off",
                      "--a.ratio=1.5", "--a.duration", "1d", "--a.size=2MB",
                      "--log.level=debug", "--a.list=b", "--a.list", "c,d"})
              .ok());
  CHECK(values.text == "x=y");
  CHECK_FALSE(values.on);
  CHECK(values.off);
  CHECK(values.count == -7);
  CHECK(values.ratio == 1.5);
  CHECK(values.duration_ms == 86'400'000);
  CHECK(values.bytes == 2 << 20);
  CHECK(values.level == "debug");
  CHECK(values.list == std::vector<std::string>{"b", "c,d"});
}

TEST_CASE("flags without effect are taken, and told when given") {
  FlagSet flags("narthex-test", "A test.");
  flags.WithoutEffect("auto-a", "true", "there is no a");
  flags.WithoutEffect("b.count", "16", "b is not counted");
  flags.WithoutEffect("c", "", "there is no c");
  REQUIRE(flags.Parse({"--no-auto-a", "--b.count", "3"}).ok());
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(flags.GivenWithoutEffect() ==
        Pairs{{"auto-a", "there is no a"}, {"b.count", "b is not counted"}});
  CHECK(flags.Values() ==
        Pairs{{"auto-a", "false"}, {"b.count", "3"}, {"c", ""}});
  CHECK(absl::StrContains(flags.Help(), "--[no-]auto-a"));
}

TEST_CASE("plain arguments stand anywhere between the flags") {
  Values values;
  FlagSet flags = MakeFlags(&values);
  std::string file;
  std::string directory = "data/";
  std::vector<std::string> more;
  flags.Short('o', "a.off");
  flags.Argument("file", &file, "What is read.", /*required=*/true);
  flags.Argument("directory", &directory, "Where.", /*required=*/false);
  SECTION("some may be left out") {
    REQUIRE(flags.Parse({"-o", "in.txt", "--a.count", "1"}).ok());
    CHECK(file == "in.txt");
    CHECK(directory == "data/");
    CHECK(values.off);
  }
  SECTION("others may not") {
    CHECK(flags.Parse({}).message() == "required argument 'file' not provided");
  }
  SECTION("more than declared are refused") {
    CHECK(flags.Parse({"a", "b", "c"}).message() == "unexpected c");
  }
  SECTION("the last may take all the rest") {
    flags.MoreArguments("more", &more, "The rest.");
    REQUIRE(flags.Parse({"a", "b", "c", "-"}).ok());
    CHECK(directory == "b");
    CHECK(more == std::vector<std::string>{"c", "-"});
  }
}

TEST_CASE("an integer may be written as Go writes floats") {
  Values values;
  FlagSet flags = MakeFlags(&values);
  REQUIRE(flags.Parse({"--a.count=5e7"}).ok());
  CHECK(values.count == 50'000'000);
  CHECK_FALSE(flags.Parse({"--a.count=1e300"}).ok());
}

TEST_CASE("bad command lines are refused with the reason") {
  struct Row {
    std::vector<std::string> arguments;
    const char* message;
  };
  const std::vector<Row> rows = {
      {{"--bogus"}, "unknown long flag '--bogus'"},
      {{"--no-a.text"}, "unknown long flag '--no-a.text'"},
      {{"-x"}, "unknown short flag '-x'"},
      {{"word"}, "unexpected word"},
      {{"--a.text"}, "expected argument for flag '--a.text'"},
      {{"--a.count=x"},
       "invalid value for --a.count: expected an integer, got x"},
      {{"--log.level=x"},
       "invalid value for --log.level: expected one of debug, info, got x"},
      {{"--a.on=x"},
       "invalid value for --a.on: expected true or false, got x"}};
  for (const Row& row : rows) {
    INFO(row.message);
    Values values;
    FlagSet flags = MakeFlags(&values);
    const absl::Status status = flags.Parse(row.arguments);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message() == row.message);
  }
}

TEST_CASE("help and version end the reading of flags") {
  Values values;
  FlagSet help = MakeFlags(&values);
  CHECK(absl::IsCancelled(help.Parse({"--help", "--bogus"})));
  CHECK(help.wants_help());
  FlagSet version = MakeFlags(&values);
  CHECK(absl::IsCancelled(version.Parse({"--version"})));
  CHECK(version.wants_version());
}

TEST_CASE("the help text shows each flag with its default") {
  Values values;
  const std::string help = MakeFlags(&values).Help();
  CHECK(absl::StartsWith(help, "usage: narthex-test [<flags>]\n"));
  CHECK(absl::StrContains(help, "--a.duration=1m"));
  CHECK(absl::StrContains(help, "--[no-]a.on"));
  CHECK(absl::StrContains(help, "--a.size=1KB"));
}

TEST_CASE("all values can be listed, sorted by name") {
  Values values;
  FlagSet flags = MakeFlags(&values);
  REQUIRE(flags.Parse({"--a.duration=90m"}).ok());
  const auto listed = flags.Values();
  CHECK(listed.front() == std::pair<std::string, std::string>{"a.count", "3"});
  CHECK(std::find(listed.begin(), listed.end(),
                  std::pair<std::string, std::string>{"a.duration", "1h30m"}) !=
        listed.end());
}

}  // namespace narthex::service
