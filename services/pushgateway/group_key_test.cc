#include "services/pushgateway/group_key.h"

#include <catch2/catch.hpp>

namespace narthex::pushgateway {

TEST_CASE("grouping labels are read from the path") {
  struct Row {
    const char* path;
    bool base64;
    LabelPairs labels;
  };
  const std::vector<Row> rows = {
      {"a", false, {{"job", "a"}}},
      {"a/b/c", false, {{"b", "c"}, {"job", "a"}}},
      {"a/z/1/b/2", false, {{"b", "2"}, {"job", "a"}, {"z", "1"}}},
      {"a/b/", false, {{"b", ""}, {"job", "a"}}},
      {"a/b@base64/=", false, {{"b", ""}, {"job", "a"}}},
      {"a/b@base64/L3Zhcg", false, {{"b", "/var"}, {"job", "a"}}},
      {"a/b@base64/L3Zhcg==", false, {{"b", "/var"}, {"job", "a"}}},
      {"YS9i", true, {{"job", "a/b"}}},
      {"a/b/c/b/d", false, {{"b", "d"}, {"job", "a"}}},
      {"a/job/other", false, {{"job", "a"}}},
      {"a/U__b_2e_c/d", false, {{"U__b_2e_c", "d"}, {"job", "a"}}}};
  for (const Row& row : rows) {
    INFO(row.path);
    const auto labels = ParseGroupPath(row.path, row.base64, false);
    REQUIRE(labels.ok());
    CHECK(*labels == row.labels);
  }
}

TEST_CASE("escaped names are decoded when UTF-8 names are allowed") {
  const auto labels = ParseGroupPath("a/U__b_2e_c__d/1/U__bad/2", false, true);
  REQUIRE(labels.ok());
  CHECK(*labels == LabelPairs{{"b.c_d", "1"}, {"bad", "2"}, {"job", "a"}});
}

TEST_CASE("bad paths are refused in Pushgateway's words") {
  struct Row {
    const char* path;
    bool base64;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"", false, "job name is required"},
      {"=", true, "job name is required"},
      {"a/b", false, "odd number of components in label string \"/b\""},
      {"a/b-c/d", false, "improper label name \"b-c\""},
      {"a/__b/d", false, "improper label name \"__b\""},
      {"a//d", false, "improper label name \"\""},
      {"!!", true, "invalid base64 encoding in job name \"!!\""},
      {"a/b@base64/!!", false, "invalid base64 encoding for label b=\"!!\""}};
  for (const Row& row : rows) {
    INFO(row.path);
    const auto labels = ParseGroupPath(row.path, row.base64, false);
    CHECK(absl::IsInvalidArgument(labels.status()));
    CHECK(labels.status().message() == row.message);
  }
}

TEST_CASE("a group's key holds its labels") {
  const LabelPairs labels = {{"a", ""}, {"job", std::string(300, 'x')}};
  LabelPairs decoded;
  CHECK(DecodeGroupKey(EncodeGroupKey(labels), &decoded));
  CHECK(decoded == labels);
  CHECK_FALSE(
      DecodeGroupKey("\x05"
                     "ab",
                     &decoded));
  CHECK_FALSE(DecodeGroupKey("", &decoded));
}

}  // namespace narthex::pushgateway
