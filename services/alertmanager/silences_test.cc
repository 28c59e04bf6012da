#include "services/alertmanager/silences.h"

#include <catch2/catch.hpp>
#include <set>

#include "libs/base/file.h"
#include "services/alertmanager/matchers.h"

namespace narthex::alertmanager {
namespace {

Silence MakeSilence(const char* matchers, std::int64_t starts,
                    std::int64_t ends) {
  Silence silence;
  silence.matchers = *ParseMatchers(matchers, MatcherSyntax::kUtf8);
  silence.starts_at_ms = starts;
  silence.ends_at_ms = ends;
  silence.created_by = "me";
  silence.comment = "why";
  return silence;
}

/// Silences on a disk that outlives them.
class Fixture {
 public:
  Fixture() { Open(); }

  void Open(SilencesOptions options = SilencesOptions()) {
    silences_.reset();
    store_.reset();
    auto store = StateStore::Open(directory_.path());
    REQUIRE(store.ok());
    store_ = *std::move(store);
    auto silences =
        Silences::Load(*store_, clock, options, base::Logger::Discard());
    REQUIRE(silences.ok());
    silences_ = *std::move(silences);
  }
  Silences& silences() { return *silences_; }

  base::FakeClock clock{10'000};

 private:
  base::TemporaryDirectory directory_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Silences> silences_;
};

TEST_CASE("a silence is pending, then active, then expired") {
  Fixture f;
  const auto id = f.silences().Set(MakeSilence("a=b", 11'000, 12'000));
  REQUIRE(id.ok());
  CHECK(IsUuid(*id));
  const model::Labels labels = {{"a", "b"}};
  CHECK_FALSE(f.silences().Mutes(labels, 10'999));
  CHECK(f.silences().Mutes(labels, 11'000));
  CHECK(f.silences().MutedBy(labels, 11'000) == std::vector<std::string>{*id});
  CHECK_FALSE(f.silences().Mutes(labels, 12'000));
  CHECK_FALSE(f.silences().Mutes({{"a", "c"}}, 11'500));
  CHECK(f.silences().Count(SilenceState::kPending) == 1);
}

TEST_CASE("a change that keeps the past keeps the id") {
  Fixture f;
  const auto id = f.silences().Set(MakeSilence("a=b", 10'000, 20'000));
  REQUIRE(id.ok());
  f.clock.Advance(1000);
  Silence longer = MakeSilence("a=b", 10'000, 30'000);
  longer.id = *id;
  CHECK(f.silences().Set(longer).value() == *id);
  CHECK(f.silences().Get(*id)->ends_at_ms == 30'000);
}

TEST_CASE("a change that rewrites the past makes a new silence") {
  Fixture f;
  const auto id = f.silences().Set(MakeSilence("a=b", 10'000, 20'000));
  REQUIRE(id.ok());
  f.clock.Advance(1000);
  Silence other = MakeSilence("a=c", 10'000, 20'000);
  other.id = *id;
  const auto next = f.silences().Set(other);
  REQUIRE(next.ok());
  CHECK(*next != *id);
  CHECK(f.silences().Get(*id)->StateAt(11'000) == SilenceState::kExpired);
  CHECK(f.silences().Get(*next)->starts_at_ms == 11'000);
  CHECK_FALSE(f.silences().Mutes({{"a", "b"}}, 11'000));
  CHECK(f.silences().Mutes({{"a", "c"}}, 11'000));
}

TEST_CASE("expiring ends a silence at once, twice is no error") {
  Fixture f;
  const auto id = f.silences().Set(MakeSilence("a=b", 10'000, 20'000));
  REQUIRE(id.ok());
  CHECK(f.silences().Expire(*id).ok());
  CHECK_FALSE(f.silences().Mutes({{"a", "b"}}, f.clock.NowMs()));
  CHECK(f.silences().Expire(*id).ok());
  CHECK(absl::IsNotFound(f.silences().Expire(NewUuid())));
}

TEST_CASE("invalid silences are refused with the reason") {
  Fixture f;
  const auto error = [&](Silence silence) {
    return std::string(f.silences().Set(std::move(silence)).status().message());
  };
  CHECK_THAT(error(MakeSilence("{}", 0, 1)),
             Catch::Contains("at least one matcher required"));
  CHECK_THAT(error(MakeSilence("a=~\".*\"", 0, 1)),
             Catch::Contains("must not match the empty string"));
  CHECK_THAT(error(MakeSilence("a=b", 5, 1)),
             Catch::Contains("end time must not be before start time"));
  Silence unknown = MakeSilence("a=b", 0, 20'000);
  unknown.id = NewUuid();
  CHECK(absl::IsNotFound(f.silences().Set(unknown).status()));
}

TEST_CASE("silences survive a restart with all they say") {
  Fixture f;
  Silence silence =
      MakeSilence("{a=~\"x|y\",b!=\"\",c!~\"d.*\",e=f}", 10'000, 20'000);
  silence.annotations = {{"ticket", "42"}};
  const auto id = f.silences().Set(silence);
  REQUIRE(id.ok());
  f.Open();
  const SilencePtr again = f.silences().Get(*id);
  REQUIRE(again != nullptr);
  CHECK(again->matchers == silence.matchers);
  CHECK(again->comment == "why");
  CHECK(again->created_by == "me");
  CHECK(again->annotations == silence.annotations);
  CHECK(again->ends_at_ms == 20'000);
  CHECK(f.silences().Mutes({{"a", "x"}, {"b", "1"}, {"e", "f"}}, 15'000));
}

TEST_CASE("expired silences are kept for the retention, also on disk") {
  Fixture f;
  SilencesOptions options;
  options.retention_ms = 1000;
  f.Open(options);
  const auto id = f.silences().Set(MakeSilence("a=b", 10'000, 11'000));
  REQUIRE(id.ok());
  f.clock.Advance(1500);
  REQUIRE(f.silences().CollectGarbage().ok());
  CHECK(f.silences().Get(*id) != nullptr);
  f.clock.Advance(1000);
  REQUIRE(f.silences().CollectGarbage().ok());
  CHECK(f.silences().Get(*id) == nullptr);
  f.Open(options);
  CHECK(f.silences().Get(*id) == nullptr);
}

TEST_CASE("limits bound the number and the size of silences") {
  Fixture f;
  SilencesOptions options;
  options.max_silences = 1;
  options.max_silence_bytes = 100;
  f.Open(options);
  Silence large = MakeSilence("a=b", 10'000, 11'000);
  large.comment.assign(100, 'x');
  CHECK(absl::IsResourceExhausted(f.silences().Set(large).status()));
  CHECK(f.silences().Set(MakeSilence("a=b", 10'000, 11'000)).ok());
  CHECK(absl::IsResourceExhausted(
      f.silences().Set(MakeSilence("a=b", 10'000, 11'000)).status()));
}

TEST_CASE("stored silences that are damaged anywhere are refused") {
  Silence silence = MakeSilence("{a=~\"x|y\",e=f}", 10'000, 20'000);
  silence.id = NewUuid();
  const std::string encoded = EncodeSilence(silence);
  REQUIRE(DecodeSilence(encoded).ok());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    CHECK_FALSE(DecodeSilence(encoded.substr(0, i)).ok());
  }
}

TEST_CASE("the index finds what trying every silence finds") {
  const char* const matchers[] = {
      "a=1",          "a=\"\"",
      "a=~\"1|2\"",   "a=~\"1.*\"",
      "a!=1",         "{a=1,b=2}",
      "b=~\".*2\"",   "{a=~\"1|2\",b!=2}",
      "{b=\"\",a=2}", "{a!~\"1\",b=~\"2|3\"}",
  };
  SilenceIndex index;
  std::vector<SilencePtr> all;
  for (const char* text : matchers) {
    auto silence = std::make_shared<Silence>(MakeSilence(text, 0, 100));
    silence->id = text;
    all.push_back(silence);
    index.Add(silence);
  }
  const auto check = [&] {
    for (const char* a : {"", "1", "2", "12"}) {
      for (const char* b : {"", "2", "3"}) {
        const model::Labels labels = {{"a", a}, {"b", b}};
        std::multiset<std::string> expected;
        for (const SilencePtr& silence : all) {
          if (silence->Matches(labels)) expected.insert(silence->id);
        }
        std::multiset<std::string> found;
        index.ForEachMatch(labels, 50, [&](const SilencePtr& silence) {
          found.insert(silence->id);
          return true;
        });
        INFO(labels.ToString());
        CHECK(found == expected);
      }
    }
  };
  check();
  while (!all.empty()) {
    index.Remove(all.back());
    all.pop_back();
    check();
  }
}

}  // namespace
}  // namespace narthex::alertmanager
