#include "services/alertmanager/notification_log.h"

#include <catch2/catch.hpp>

#include "libs/base/file.h"

namespace narthex::alertmanager {
namespace {

using Set = std::vector<Fingerprint>;

TEST_CASE("a notification is sent for a reason or not at all") {
  struct Row {
    const char* about;
    bool has_last;
    Set last_firing;
    Set last_resolved;
    Set firing;
    Set resolved;
    bool send_resolved;
    std::int64_t now;
    NotifyReason reason;
  };
  // The last one was sent at 1000; repeat_interval is 100.
  using enum NotifyReason;
  const Row rows[] = {
      {"first", false, {}, {}, {1}, {}, true, 1000, kFirst},
      {"resolved before it was sent",
       false,
       {},
       {},
       {},
       {1},
       true,
       1000,
       kNone},
      {"nothing new", true, {1}, {}, {1}, {}, true, 1100, kNone},
      {"repeat", true, {1}, {}, {1}, {}, true, 1101, kRepeat},
      {"new alert", true, {1}, {}, {1, 2}, {}, true, 1001, kNewAlerts},
      {"an alert is gone", true, {1, 2}, {}, {1}, {}, true, 1001, kNone},
      {"some resolved", true, {1, 2}, {}, {1}, {2}, true, 1001, kSomeResolved},
      {"some resolved, nobody asked",
       true,
       {1, 2},
       {},
       {1},
       {2},
       false,
       1001,
       kNone},
      {"all resolved", true, {1}, {}, {}, {1}, true, 1001, kAllResolved},
      {"all resolved, for the log",
       true,
       {1},
       {},
       {},
       {1},
       false,
       1001,
       kAllResolved},
      {"resolved again", true, {}, {1}, {}, {1}, true, 9999, kNone},
      {"back after the end", true, {}, {1}, {1}, {}, true, 1001, kFirst},
  };
  for (const Row& row : rows) {
    INFO(row.about);
    NotificationEntry last;
    last.sent_at_ms = 1000;
    last.firing = row.last_firing;
    last.resolved = row.last_resolved;
    CHECK(NeedsNotification(row.has_last ? &last : nullptr, row.firing,
                            row.resolved, row.send_resolved, 100,
                            row.now) == row.reason);
  }
}

TEST_CASE("the log survives a restart and forgets what has expired") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(1000);
  const auto open = [&] { return *StateStore::Open(directory.path()); };
  const auto load = [&](StateStore& store) {
    return *NotificationLog::Load(store, clock, /*retention_ms=*/500,
                                  base::Logger::Discard());
  };
  const std::string key = NotificationLog::Key("r", "webhook", 0, "{}:{}");
  {
    const auto store = open();
    const auto log = load(*store);
    CHECK(log->Get(key) == nullptr);
    REQUIRE(log->Record(key, {1000, 99'000, {1, 2}, {3}}).ok());
  }
  const auto store = open();
  {
    const auto log = load(*store);
    const auto entry = log->Get(key);
    REQUIRE(entry != nullptr);
    CHECK(entry->sent_at_ms == 1000);
    CHECK(entry->firing == Set{1, 2});
    CHECK(entry->resolved == Set{3});
    clock.Advance(500);
    REQUIRE(log->CollectGarbage().ok());
    CHECK(log->Get(key) == nullptr);
  }
  CHECK(load(*store)->size() == 0);
}

TEST_CASE("a folder that is open already is refused") {
  base::TemporaryDirectory directory;
  const auto first = StateStore::Open(directory.path());
  REQUIRE(first.ok());
  CHECK_FALSE(StateStore::Open(directory.path()).ok());
}

}  // namespace
}  // namespace narthex::alertmanager
