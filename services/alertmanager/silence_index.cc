#include "services/alertmanager/silence_index.h"

#include <algorithm>

namespace narthex::alertmanager {
namespace {

constexpr std::size_t kMaxValues = 32;

/// The label and the values of which an alert must have one to match; no
/// values when there is no such label.
struct Key {
  std::string name;
  std::vector<std::string> values;
};

std::vector<std::string> DemandedValues(const model::Matcher& matcher) {
  if (matcher.MatchesEmpty()) return {};
  if (matcher.type() == model::MatchType::kEqual) return {matcher.value()};
  if (matcher.type() == model::MatchType::kRegex &&
      matcher.regex()->literals().size() <= kMaxValues) {
    return matcher.regex()->literals();
  }
  return {};
}

Key KeyOf(const Silence& silence) {
  Key best;
  for (const model::Matcher& matcher : silence.matchers) {
    std::vector<std::string> values = DemandedValues(matcher);
    if (values.empty()) continue;
    if (best.values.empty() || values.size() < best.values.size()) {
      best = {matcher.name(), std::move(values)};
    }
  }
  return best;
}

}  // namespace

void SilenceIndex::Add(const SilencePtr& silence) {
  const Key key = KeyOf(*silence);
  if (key.values.empty()) {
    others_.push_back(silence);
    return;
  }
  ByValue& by_value = by_name_[key.name];
  for (const std::string& value : key.values) {
    by_value[value].push_back(silence);
  }
}

void SilenceIndex::Remove(const SilencePtr& silence) {
  const auto erase = [&silence](Bucket* bucket) {
    bucket->erase(std::remove(bucket->begin(), bucket->end(), silence),
                  bucket->end());
  };
  const Key key = KeyOf(*silence);
  if (key.values.empty()) return erase(&others_);
  const auto name = by_name_.find(key.name);
  if (name == by_name_.end()) return;
  for (const std::string& value : key.values) {
    const auto bucket = name->second.find(value);
    if (bucket == name->second.end()) continue;
    erase(&bucket->second);
    if (bucket->second.empty()) name->second.erase(bucket);
  }
  if (name->second.empty()) by_name_.erase(name);
}

}  // namespace narthex::alertmanager
