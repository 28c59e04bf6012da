#include "libs/yaml/decoder.h"

#include <catch2/catch.hpp>

namespace narthex::yaml {
namespace {

struct Job {
  std::string name;
  std::int64_t interval_ms = 60'000;
  std::int64_t body_size = 0;
  std::vector<std::string> targets;
  std::map<std::string, std::string> labels;
  std::optional<int> limit;
};

absl::Status Decode(const Node& node, Job* job) {
  Decoder d(node);
  d.Required("name", &job->name);
  d.Duration("interval", &job->interval_ms);
  d.Size("body_size", &job->body_size);
  d.Field("targets", &job->targets);
  d.Field("labels", &job->labels);
  d.Field("limit", &job->limit);
  return d.Done();
}

struct File {
  std::vector<Job> jobs;
};

absl::Status Decode(const Node& node, File* file) {
  Decoder d(node);
  d.Field("jobs", &file->jobs);
  return d.Done();
}

absl::Status Load(absl::string_view text, File* file) {
  auto document = Document::Parse(text, "f.yml");
  if (!document.ok()) return document.status();
  return Decode(document->root(), file);
}

TEST_CASE("fields are read into structs and absent ones keep their default") {
  File file;
  REQUIRE(Load("jobs:\n"
               "- name: a\n  interval: 1h30m\n  body_size: 16MB\n"
               "  targets: [x, 1, true]\n  labels: {k: v}\n  limit: 3\n"
               "- name: 7\n  interval:\n",
               &file)
              .ok());
  REQUIRE(file.jobs.size() == 2);
  CHECK(file.jobs[0].interval_ms == 5'400'000);
  CHECK(file.jobs[0].body_size == 16 << 20);
  CHECK(file.jobs[0].targets == std::vector<std::string>{"x", "1", "true"});
  CHECK(file.jobs[0].labels.at("k") == "v");
  CHECK(file.jobs[0].limit == 3);
  CHECK(file.jobs[1].name == "7");
  CHECK(file.jobs[1].interval_ms == 60'000);
  CHECK_FALSE(file.jobs[1].limit.has_value());
}

TEST_CASE("every error names file, line and field") {
  const struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"jobs:\n- name: a\n  intervall: 1m\n",
       "f.yml: line 3: jobs[0]: field intervall not found"},
      {"jobs:\n- interval: 1m\n",
       "f.yml: line 2: jobs[0]: field name is required"},
      {"jobs:\n- ~\n", "f.yml: line 2: jobs[0]: empty or null entry in a list"},
      {"jobs: {}\n", "f.yml: line 1: jobs: expected a list"},
      {"jobs:\n- [1]\n",
       "f.yml: line 2: jobs[0]: expected a map, found a list"},
      {"jobs:\n- name: {}\n",
       "f.yml: line 2: jobs[0].name: expected text, found a map"},
      {"jobs:\n- name: a\n  limit: x\n",
       "f.yml: line 3: jobs[0].limit: expected a whole number, found \"x\""},
      {"jobs:\n- name: a\n  limit: '1'\n",
       "f.yml: line 3: jobs[0].limit: expected a whole number, found \"1\""},
      {"jobs:\n- name: a\n  limit: 99999999999\n",
       "f.yml: line 3: jobs[0].limit: number 99999999999 is out of range"},
      {"jobs:\n- name: a\n  labels:\n    k: [v]\n",
       "f.yml: line 4: jobs[0].labels.k: expected text, found a list"},
  };
  for (const auto& row : rows) {
    File file;
    CHECK(Load(row.text, &file).message() == row.message);
  }
}

TEST_CASE("malformed durations and sizes are refused at their place") {
  File file;
  CHECK_THAT(
      std::string(Load("jobs:\n- name: a\n  interval: 5\n", &file).message()),
      Catch::StartsWith("f.yml: line 3: jobs[0].interval: "));
  CHECK_THAT(
      std::string(Load("jobs:\n- name: a\n  body_size: 5\n", &file).message()),
      Catch::StartsWith("f.yml: line 3: jobs[0].body_size: "));
}

template <typename T>
std::optional<T> Scalar(absl::string_view text) {
  auto document = Document::Parse(text, "");
  T value{};
  if (!document.ok() || !Decode(document->root(), &value).ok()) return {};
  return value;
}

TEST_CASE("numbers and booleans take the forms of YAML 1.1") {
  CHECK(Scalar<std::int64_t>("-12") == -12);
  CHECK(Scalar<std::int64_t>("0x1F") == 31);
  CHECK(Scalar<std::int64_t>("1_000") == 1000);
  CHECK(Scalar<std::int64_t>("1e3") == 1000);
  CHECK(Scalar<std::int64_t>("-9223372036854775808") ==
        std::numeric_limits<std::int64_t>::min());
  CHECK_FALSE(Scalar<std::int64_t>("9223372036854775808"));
  CHECK_FALSE(Scalar<std::int64_t>("1.5"));
  CHECK_FALSE(Scalar<std::uint32_t>("-1"));
  CHECK_FALSE(Scalar<int>("0x"));
  CHECK(Scalar<double>("1.5e-3") == 0.0015);
  CHECK(Scalar<double>("-.inf") == -std::numeric_limits<double>::infinity());
  CHECK_FALSE(Scalar<double>("inf"));
  CHECK(Scalar<bool>("yes") == true);
  CHECK(Scalar<bool>("Off") == false);
  CHECK(Scalar<bool>("TRUE") == true);
  CHECK_FALSE(Scalar<bool>("tRue"));
  CHECK_FALSE(Scalar<bool>("'true'"));
  CHECK_FALSE(Scalar<bool>("1"));
}

}  // namespace
}  // namespace narthex::yaml
