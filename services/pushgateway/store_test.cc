#include "services/pushgateway/store.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"

namespace narthex::pushgateway {

namespace {

constexpr auto kPut = Store::Mode::kReplaceGroup;
constexpr auto kPost = Store::Mode::kReplaceFamilies;

class Fixture {
 public:
  explicit Fixture(std::string directory = {}, bool check = true)
      : directory_(std::move(directory)), check_(check) {
    Reopen();
  }

  void Reopen() {
    store_.reset();
    StoreOptions options;
    options.check_consistency = check_;
    options.own_families["own"] = model::MetricType::kGauge;
    if (!directory_.empty()) {
      auto persistence = Persistence::Open(directory_);
      REQUIRE(persistence.ok());
      options.persistence = std::move(*persistence);
    }
    auto store = Store::Open(std::move(options), clock_);
    REQUIRE(store.ok());
    store_ = std::move(*store);
  }

  absl::Status Push(absl::string_view path, absl::string_view body,
                    Store::Mode mode = kPut) {
    const auto group = ParseGroupPath(path, false, false);
    REQUIRE(group.ok());
    auto parsed = ParseTextBody(body, *group, false);
    REQUIRE(parsed.ok());
    return store_->Push(*group, body, *std::move(parsed), mode);
  }
  // False when the body has to be parsed.
  bool PushValues(absl::string_view path, absl::string_view body,
                  Store::Mode mode = kPut) {
    const auto status =
        store_->PushValues(*ParseGroupPath(path, false, false), body, mode);
    return status.has_value() && status->ok();
  }
  void Delete(absl::string_view path) {
    CHECK(store_->Delete(*ParseGroupPath(path, false, false)).ok());
  }
  // Everything but the families of push times, unless asked for.
  std::string Page(bool with_times = false) {
    std::string page;
    for (const std::string& name : store_->FamilyNames()) {
      if (!with_times && absl::StartsWith(name, "push_")) continue;
      store_->AppendFamily(name, false, &page);
    }
    return page;
  }
  Store& store() { return *store_; }
  base::FakeClock& clock() { return clock_; }

 private:
  const std::string directory_;
  const bool check_;
  base::FakeClock clock_{1'000'000};
  std::unique_ptr<Store> store_;
};

}  // namespace

TEST_CASE("PUT replaces a group, POST only the families it brings") {
  Fixture f;
  CHECK(f.Push("j", "a 1\nb 1\n").ok());
  CHECK(f.Push("j", "b 2\nc 2\n", kPost).ok());
  CHECK(f.Page() ==
        "a{instance=\"\",job=\"j\"} 1\nb{instance=\"\",job=\"j\"} 2\n"
        "c{instance=\"\",job=\"j\"} 2\n");
  CHECK(f.Push("j", "c 3\n", kPut).ok());
  CHECK(f.Page() == "c{instance=\"\",job=\"j\"} 3\n");
  CHECK(f.Push("j", "", kPost).ok());
  CHECK(f.Page() == "c{instance=\"\",job=\"j\"} 3\n");
  CHECK(f.Push("j", "", kPut).ok());
  CHECK(f.Page().empty());
}

TEST_CASE("DELETE removes exactly the group it names") {
  Fixture f;
  CHECK(f.Push("j", "a 1\n").ok());
  CHECK(f.Push("j/x/y", "a 1\n").ok());
  f.Delete("j");
  f.Delete("absent");
  CHECK(f.Page() == "a{instance=\"\",job=\"j\",x=\"y\"} 1\n");
  CHECK(f.store().Wipe().ok());
  CHECK(f.Page(true).empty());
}

TEST_CASE("metrics of a family are in order over all groups") {
  Fixture f;
  CHECK(f.Push("j/k/b", "s{z=\"2\"} 1\ns 2\n").ok());
  CHECK(f.Page() ==
        "s{instance=\"\",job=\"j\",k=\"b\"} 2\n"
        "s{instance=\"\",job=\"j\",k=\"b\",z=\"2\"} 1\n");
  CHECK(f.Push("j/k/a", "s{z=\"2\"} 3\ns{z=\"10\"} 4\ns 5\n").ok());
  CHECK(f.Page() ==
        "s{instance=\"\",job=\"j\",k=\"a\"} 5\n"
        "s{instance=\"\",job=\"j\",k=\"b\"} 2\n"
        "s{instance=\"\",job=\"j\",k=\"a\",z=\"10\"} 4\n"
        "s{instance=\"\",job=\"j\",k=\"a\",z=\"2\"} 3\n"
        "s{instance=\"\",job=\"j\",k=\"b\",z=\"2\"} 1\n");
  f.Delete("j/k/b");
  CHECK(f.Push("j/k/0", "s 6\n").ok());
  CHECK(f.Page() ==
        "s{instance=\"\",job=\"j\",k=\"0\"} 6\n"
        "s{instance=\"\",job=\"j\",k=\"a\"} 5\n"
        "s{instance=\"\",job=\"j\",k=\"a\",z=\"10\"} 4\n"
        "s{instance=\"\",job=\"j\",k=\"a\",z=\"2\"} 3\n");
}

TEST_CASE("groups that come, change and go leave nothing behind") {
  Fixture f;
  for (int round = 0; round < 20; ++round) {
    for (int group = 0; group < 30; ++group) {
      CHECK(f.Push(absl::StrCat("j/g/", group),
                   absl::StrCat("a{r=\"", round * group % 7, "\"} 1\n"))
                .ok());
    }
    if (round % 5 == 0) (void)f.Page();
    for (int group = 0; group < 30; group += 2) {
      f.Delete(absl::StrCat("j/g/", group));
    }
  }
  const std::string page = f.Page();
  CHECK(std::count(page.begin(), page.end(), '\n') == 15);
  CHECK(f.store().group_count() == 15);
}

TEST_CASE("a push that contradicts what is there changes nothing") {
  Fixture f;
  CHECK(f.Push("j",
               "# TYPE a counter\na{x=\"y\"} 1\n# TYPE h histogram\n"
               "h_sum 1\n")
            .ok());
  CHECK(f.Push("k", "b_sum 1\n").ok());
  const std::string before = f.Page();
  struct Row {
    const char* path;
    const char* body;
    const char* reason;
  };
  const std::vector<Row> rows = {
      {"o", "# TYPE a gauge\na 1\n", "is not a COUNTER"},
      {"o", "own 1\n",
       "gathered metric family own has type UNTYPED but should have GAUGE"},
      {"o", "h_count 1\n",
       "collected metric named \"h_count\" collides with previously collected "
       "histogram named \"h\""},
      {"o", "# TYPE b summary\nb_count 1\n",
       "collected histogram or summary named \"b\" collides with previously "
       "collected metric named \"b_sum\""},
      {"j/x/y", "# TYPE a counter\na 1\n",
       "was collected before with the same name and label values"},
      {"o", "a 1 5\n", "pushed metrics must not have timestamps"}};
  for (const Row& row : rows) {
    INFO(row.body);
    const absl::Status status = f.Push(row.path, row.body);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(absl::StartsWith(
        status.message(),
        "pushed metrics are invalid or inconsistent with existing metrics: "));
    CHECK(absl::StrContains(status.message(), row.reason));
    CHECK(f.Page() == before);
  }
}

TEST_CASE("a group may change what only it had") {
  Fixture f;
  CHECK(f.Push("j", "# TYPE a counter\na 1\n").ok());
  CHECK(f.Push("j", "# TYPE a gauge\na 1\n").ok());
  CHECK(f.Push("j", "# TYPE b histogram\nb_sum 1\n").ok());
  CHECK(f.Push("j", "b_sum 1\n").ok());
  CHECK(f.Push("j", "# TYPE b histogram\nb_sum 1\n", kPost).ok() == false);
}

TEST_CASE("without the check a clash is taken as it is") {
  Fixture f({}, /*check=*/false);
  CHECK(f.Push("j", "# TYPE a counter\na{x=\"y\"} 1\n").ok());
  CHECK(f.Push("j/x/y", "# TYPE a gauge\na 2\n").ok());
  CHECK(f.Page() ==
        "a{instance=\"\",job=\"j\",x=\"y\"} 1\n"
        "a{instance=\"\",job=\"j\",x=\"y\"} 2\n");
  f.Delete("j");
  CHECK(f.Page() == "a{instance=\"\",job=\"j\",x=\"y\"} 2\n");
}

TEST_CASE("each group tells when it was pushed and when a push failed") {
  Fixture f;
  CHECK(f.Push("j", "push_time_seconds 5\n").ok());
  CHECK(f.Page(true) ==
        "push_failure_time_seconds{instance=\"\",job=\"j\"} 0\n"
        "push_time_seconds{instance=\"\",job=\"j\"} 1000\n");
  f.clock().Advance(500);
  CHECK_FALSE(f.Push("j", "a 1 5\n").ok());
  CHECK_FALSE(f.Push("new", "a 1 5\n").ok());
  CHECK(f.Page(true) ==
        "push_failure_time_seconds{instance=\"\",job=\"j\"} 1000.5\n"
        "push_failure_time_seconds{instance=\"\",job=\"new\"} 1000.5\n"
        "push_time_seconds{instance=\"\",job=\"j\"} 1000\n"
        "push_time_seconds{instance=\"\",job=\"new\"} 0\n");
  const auto groups = f.store().Groups();
  REQUIRE(groups.size() == 2);
  CHECK_FALSE(groups[0].last_push_successful);
}

TEST_CASE("a text pushed again with other values is not parsed") {
  Fixture f;
  const auto body = [](int value) {
    return absl::StrCat("# TYPE h histogram\nh_sum ", value,
                        "\nh_bucket{le=\"1\"} ", value + 1, "\nh_count ",
                        value + 2, "\n# TYPE a counter\na{x=\"y\"}  ",
                        value + 3, " \n\n");
  };
  const auto page = [](int value) {
    return absl::StrCat("a{instance=\"\",job=\"j\",x=\"y\"} ", value + 3,
                        "\nh_bucket{instance=\"\",job=\"j\",le=\"1\"} ",
                        value + 1,
                        "\nh_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} ",
                        value + 2, "\nh_sum{instance=\"\",job=\"j\"} ", value,
                        "\nh_count{instance=\"\",job=\"j\"} ", value + 2, "\n");
  };
  CHECK_FALSE(f.PushValues("j", body(1)));
  CHECK(f.Push("j", body(1)).ok());
  CHECK_FALSE(f.PushValues("j", body(1)));
  CHECK(f.Push("j", body(1)).ok());
  CHECK(f.PushValues("j", body(5)));
  CHECK(f.Page() == page(5));
  CHECK(f.PushValues("j", body(7), kPost));
  CHECK(f.Page() == page(7));

  for (const std::string& other :
       {body(8) + "b 1\n", body(8).substr(0, body(8).size() - 2), std::string(),
        absl::StrCat("\n", body(8))}) {
    INFO(other);
    CHECK_FALSE(f.PushValues("j", other));
  }
  for (const char* value : {"x", "", "1 5", "0x10", "1_0", "NaN"}) {
    INFO(value);
    CHECK_FALSE(f.PushValues(
        "j", absl::StrCat("# TYPE h histogram\nh_sum ", value,
                          body(8).substr(body(8).find('\n', 20)))));
  }
  CHECK(f.Page() == page(7));
  CHECK(f.Push("j", "b 1\n", kPost).ok());
  CHECK_FALSE(f.PushValues("j", body(9)));
}

TEST_CASE("what was acknowledged is there after a restart") {
  base::TemporaryDirectory directory;
  Fixture f(directory.path());
  CHECK(f.Push("j", "# HELP a help\n# TYPE a counter\na{x=\"1\"} 1\nb NaN\n")
            .ok());
  CHECK(f.Push("j", "# HELP a help\n# TYPE a counter\na{x=\"1\"} 3\n", kPost)
            .ok());
  CHECK(f.Push("k/l@base64/=", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n")
            .ok());
  CHECK(f.Push("gone", "c 1\n").ok());
  f.Delete("gone");
  const std::string before = f.Page(true);
  f.Reopen();
  CHECK(f.Page(true) == before);
  std::string head;
  f.store().AppendFamily("a", true, &head);
  CHECK(absl::StartsWith(head, "# HELP a help\n# TYPE a counter\n"));
  CHECK(absl::IsInvalidArgument(f.Push("o", "# TYPE a gauge\na 1\n")));
  CHECK(f.store().Wipe().ok());
  f.Reopen();
  CHECK(f.Page(true).empty());
}

}  // namespace narthex::pushgateway
