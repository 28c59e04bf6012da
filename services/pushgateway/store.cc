#include "services/pushgateway/store.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/hash.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "services/pushgateway/series_text.h"

namespace narthex::pushgateway {

using model::MetricType;

namespace {

constexpr absl::string_view kPushTime = "push_time_seconds";
constexpr absl::string_view kFailureTime = "push_failure_time_seconds";
constexpr absl::string_view kPushTimeHelp =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
constexpr absl::string_view kFailureTimeHelp =
    "Last Unix time when changing this group in the Pushgateway failed.";

bool IsTimeFamily(absl::string_view name) {
  return name == kPushTime || name == kFailureTime;
}

absl::Status Inconsistent(absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(
      "pushed metrics are invalid or inconsistent with existing metrics: ",
      reason));
}

std::string UpperType(MetricType type) {
  return absl::AsciiStrToUpper(TypeWord(type));
}

}  // namespace

// One family of one group, at a fixed address while it is there.
struct Store::Slot {
  PushedGroup* group = nullptr;
  FamilyIndex* index = nullptr;
  Family family;
  std::int64_t pushed_ms = 0;
  std::size_t position = 0;  // In the family's slots.
  bool retired = false;
};

struct Store::PushedGroup {
  std::string key;
  LabelPairs labels;
  // In order of names, which is the order in the stored records.
  std::map<std::string, std::unique_ptr<Slot>, std::less<>> slots;
  // The text that gives the present layouts of `shape_slots`, which are the
  // families it holds; null when unknown.
  std::shared_ptr<const BodyShape> shape;
  std::vector<Slot*> shape_slots;
};

// One family over all groups.
struct Store::FamilyIndex {
  std::string name;
  std::vector<Slot*> slots;
  // Which slot has the metric with these labels, by their hash.
  absl::flat_hash_map<std::uint64_t, MetricRef> owners;
  // All metrics: first `sorted_count` in order of exposition, then those that
  // are new since it was last asked for. Those of retired slots are skipped,
  // and go when there are many, so that a push never walks over all groups.
  std::vector<MetricRef> order;
  std::size_t sorted_count = 0;
  std::vector<std::unique_ptr<Slot>> retired;
  std::size_t retired_metrics = 0;
};

Store::Store(StoreOptions options, base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}
Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(StoreOptions options,
                                                   base::Clock& clock) {
  std::unique_ptr<Store> store(new Store(std::move(options), clock));
  base::MutexLock lock(store->mutex_);
  NARTHEX_RETURN_IF_ERROR(store->Load());
  return store;
}

absl::Status Store::Push(const LabelPairs& labels, absl::string_view text,
                         PushBody body, Mode mode) {
  const std::int64_t now_ms = clock_.NowMs();
  const double now_seconds = static_cast<double>(now_ms) / 1e3;
  base::MutexLock lock(mutex_);
  const auto found = groups_.find(EncodeGroupKey(labels));
  if (options_.check_consistency) {
    absl::Status status = Check(
        found == groups_.end() ? nullptr : found->second.get(), body, mode);
    if (!status.ok()) {
      PushedGroup& group = GetOrCreate(labels);
      bool changed = PutTime(group, kFailureTime, now_seconds, now_ms);
      if (!group.slots.contains(kPushTime)) {
        changed |= PutTime(group, kPushTime, 0, now_ms);
      }
      NARTHEX_RETURN_IF_ERROR(Persist(group, changed));
      return status;
    }
  }
  PushedGroup& group = GetOrCreate(labels);
  bool changed = false;
  if (mode == Mode::kReplaceGroup) {
    absl::flat_hash_set<absl::string_view> pushed;
    for (const Family& family : body.families) pushed.insert(family.name);
    std::vector<std::string> gone;
    for (const auto& [name, slot] : group.slots) {
      if (!IsTimeFamily(name) && !pushed.contains(name)) gone.push_back(name);
    }
    for (const std::string& name : gone) Remove(group, name);
    changed = !gone.empty();
  }
  std::vector<std::string> names;
  bool has_time_family = false;
  for (Family& family : body.families) {
    names.push_back(family.name);
    has_time_family |= IsTimeFamily(family.name);
    if (IsTimeFamily(family.name)) continue;
    changed |= Put(group, std::move(family), now_ms);
  }
  if (!changed && !names.empty() && !has_time_family) {
    Learn(group, std::make_shared<const BodyShape>(text, body.places), names);
  }
  changed |= PutTime(group, kPushTime, now_seconds, now_ms);
  if (!group.slots.contains(kFailureTime)) {
    changed |= PutTime(group, kFailureTime, 0, now_ms);
  }
  return Persist(group, changed);
}

std::optional<absl::Status> Store::PushValues(const LabelPairs& labels,
                                              absl::string_view text,
                                              Mode mode) {
  const std::string key = EncodeGroupKey(labels);
  std::shared_ptr<const BodyShape> shape;
  {
    base::ReaderMutexLock lock(mutex_);
    const auto found = groups_.find(key);
    if (found == groups_.end()) return std::nullopt;
    shape = found->second->shape;
  }
  std::vector<double> values;
  if (shape == nullptr || !shape->Match(text, &values)) return std::nullopt;

  const std::int64_t now_ms = clock_.NowMs();
  base::MutexLock lock(mutex_);
  const auto found = groups_.find(key);
  if (found == groups_.end() || found->second->shape != shape) {
    return std::nullopt;
  }
  PushedGroup& group = *found->second;
  // Two families tell the times; a PUT would remove any others.
  if (mode == Mode::kReplaceGroup &&
      group.slots.size() != group.shape_slots.size() + 2) {
    return std::nullopt;
  }
  for (const ValuePlaces::Target& target : shape->targets()) {
    group.shape_slots[target.family]->family.values[target.value] =
        values[target.line];
  }
  for (Slot* slot : group.shape_slots) slot->pushed_ms = now_ms;
  PutTime(group, kPushTime, static_cast<double>(now_ms) / 1e3, now_ms);
  return Persist(group, /*layouts_changed=*/false);
}

void Store::Learn(PushedGroup& group, std::shared_ptr<const BodyShape> shape,
                  const std::vector<std::string>& families) {
  std::weak_ptr<const BodyShape>& known = shapes_[shape->Hash()];
  const std::shared_ptr<const BodyShape> same = known.lock();
  if (same != nullptr && *same == *shape) {
    group.shape = same;
  } else {
    known = shape;
    group.shape = std::move(shape);
  }
  group.shape_slots.clear();
  for (const std::string& name : families) {
    group.shape_slots.push_back(group.slots.find(name)->second.get());
  }
  // Shapes that no group has any more leave their entries behind.
  if (shapes_.size() > 2 * groups_.size() + 16) {
    absl::erase_if(shapes_, [](const auto& s) { return s.second.expired(); });
  }
}

absl::Status Store::Delete(const LabelPairs& labels) {
  base::MutexLock lock(mutex_);
  const auto found = groups_.find(EncodeGroupKey(labels));
  if (found == groups_.end()) return absl::OkStatus();
  for (auto& [name, slot] : found->second->slots) Unlink(std::move(slot));
  if (options_.persistence != nullptr) {
    NARTHEX_RETURN_IF_ERROR(options_.persistence->Remove(found->first));
  }
  groups_.erase(found);
  return absl::OkStatus();
}

absl::Status Store::Wipe() {
  base::MutexLock lock(mutex_);
  families_.clear();
  groups_.clear();
  shapes_.clear();
  if (options_.persistence == nullptr) return absl::OkStatus();
  return options_.persistence->RemoveAll();
}

absl::Status Store::Check(const PushedGroup* group, const PushBody& body,
                          Mode mode) const {
  if (!body.inconsistency.ok()) {
    return Inconsistent(body.inconsistency.message());
  }
  for (const Family& family : body.families) {
    if (IsTimeFamily(family.name)) continue;
    NARTHEX_RETURN_IF_ERROR(CheckType(group, family));
    NARTHEX_RETURN_IF_ERROR(CheckSuffixes(group, body, family, mode));
    NARTHEX_RETURN_IF_ERROR(CheckOwners(group, family));
  }
  return absl::OkStatus();
}

absl::Status Store::CheckType(const PushedGroup* group,
                              const Family& family) const {
  const auto own = options_.own_families.find(family.name);
  if (own != options_.own_families.end() && own->second != family.type) {
    return Inconsistent(absl::StrCat(
        "gathered metric family ", family.name, " has type ",
        UpperType(family.type), " but should have ", UpperType(own->second)));
  }
  const auto it = families_.find(family.name);
  if (it == families_.end()) return absl::OkStatus();
  for (const Slot* slot : it->second->slots) {
    if (slot->group == group) continue;
    if (slot->family.type == family.type) return absl::OkStatus();
    return Inconsistent(absl::StrCat(DescribeMetric(family, 0), " is not a ",
                                     UpperType(slot->family.type)));
  }
  return absl::OkStatus();
}

// The parts of histograms and summaries must not be families of their own.
absl::Status Store::CheckSuffixes(const PushedGroup* group,
                                  const PushBody& body, const Family& family,
                                  Mode mode) const {
  // The type of another family as it would be after the push.
  const auto type_of = [&](absl::string_view name) ABSL_SHARED_LOCKS_REQUIRED(
                           mutex_) -> std::optional<MetricType> {
    for (const Family& other : body.families) {
      if (other.name == name) return other.type;
    }
    const auto it = families_.find(name);
    if (it == families_.end()) return std::nullopt;
    for (const Slot* slot : it->second->slots) {
      if (slot->group == group && mode == Mode::kReplaceGroup) continue;
      return slot->family.type;
    }
    return std::nullopt;
  };
  for (const absl::string_view suffix : {"_count", "_sum", "_bucket"}) {
    const bool is_bucket = suffix == "_bucket";
    absl::string_view base = family.name;
    if (absl::ConsumeSuffix(&base, suffix)) {
      const auto type = type_of(base);
      const bool clash = type == MetricType::kHistogram ||
                         (type == MetricType::kSummary && !is_bucket);
      if (clash) {
        return Inconsistent(
            absl::StrCat("collected metric named ", base::Quote(family.name),
                         " collides with previously collected ",
                         TypeWord(*type), " named ", base::Quote(base)));
      }
    }
    const bool has_part = family.type == MetricType::kHistogram ||
                          (family.type == MetricType::kSummary && !is_bucket);
    const std::string part = absl::StrCat(family.name, suffix);
    if (has_part && type_of(part).has_value()) {
      return Inconsistent(absl::StrCat(
          "collected histogram or summary named ", base::Quote(family.name),
          " collides with previously collected metric named ",
          base::Quote(part)));
    }
  }
  return absl::OkStatus();
}

absl::Status Store::CheckOwners(const PushedGroup* group,
                                const Family& family) const {
  const auto it = families_.find(family.name);
  if (it == families_.end()) return absl::OkStatus();
  if (group != nullptr) {
    const auto slot = group->slots.find(family.name);
    // The usual case: the same metrics as before.
    if (slot != group->slots.end() &&
        slot->second->family.layout == family.layout) {
      return absl::OkStatus();
    }
  }
  for (std::size_t i = 0; i < family.layout.metric_count(); ++i) {
    const absl::string_view labels = family.layout.labels(i);
    const auto owner = it->second->owners.find(base::XxHash64(labels));
    if (owner == it->second->owners.end()) continue;
    const MetricRef& ref = owner->second;
    if (ref.slot->group != group &&
        ref.slot->family.layout.labels(ref.metric) == labels) {
      return Inconsistent(absl::StrCat(
          DescribeMetric(family, i),
          " was collected before with the same name and label values"));
    }
  }
  return absl::OkStatus();
}

Store::PushedGroup& Store::GetOrCreate(const LabelPairs& labels) {
  std::string key = EncodeGroupKey(labels);
  auto& group = groups_[key];
  if (group == nullptr) {
    group = std::make_unique<PushedGroup>();
    group->key = std::move(key);
    group->labels = labels;
  }
  return *group;
}

bool Store::Put(PushedGroup& group, Family family, std::int64_t now_ms) {
  auto& slot = group.slots[family.name];
  if (slot != nullptr && slot->family.layout == family.layout) {
    slot->pushed_ms = now_ms;
    const bool changed =
        slot->family.type != family.type || slot->family.help != family.help;
    if (changed) group.shape = nullptr;
    slot->family.type = family.type;
    slot->family.help = std::move(family.help);
    slot->family.values = std::move(family.values);
    return changed;
  }
  if (slot != nullptr) Unlink(std::move(slot));
  group.shape = nullptr;
  slot = std::make_unique<Slot>();
  slot->group = &group;
  slot->pushed_ms = now_ms;
  slot->family = std::move(family);
  Link(*slot);
  return true;
}

bool Store::PutTime(PushedGroup& group, absl::string_view name, double seconds,
                    std::int64_t now_ms) {
  if (const auto it = group.slots.find(name); it != group.slots.end()) {
    it->second->family.values[0] = seconds;
    it->second->pushed_ms = now_ms;
    return false;
  }
  Family family{
      .name = std::string(name),
      .type = MetricType::kGauge,
      .help = std::string(name == kPushTime ? kPushTimeHelp : kFailureTimeHelp),
      .layout = {},
      .values = {seconds}};
  LabelPairs labels = group.labels;
  const auto is_instance = [](const auto& l) { return l.first == "instance"; };
  if (std::none_of(labels.begin(), labels.end(), is_instance)) {
    labels.emplace_back("instance", "");
    std::sort(labels.begin(), labels.end());
  }
  std::string text;
  AppendLabels(labels, &text);
  family.layout.BeginMetric(text, labels.size());
  family.layout.AddLine(name, {});
  return Put(group, std::move(family), now_ms);
}

void Store::Remove(PushedGroup& group, absl::string_view family) {
  const auto it = group.slots.find(family);
  Unlink(std::move(it->second));
  group.shape = nullptr;
  group.slots.erase(it);
}

void Store::Link(Slot& slot) {
  auto& index = families_[slot.family.name];
  if (index == nullptr) {
    index = std::make_unique<FamilyIndex>();
    index->name = slot.family.name;
  }
  slot.index = index.get();
  slot.position = index->slots.size();
  index->slots.push_back(&slot);
  for (std::uint32_t i = 0; i < slot.family.layout.metric_count(); ++i) {
    const MetricRef ref{&slot, i};
    index->order.push_back(ref);
    // Of two with one hash, or unchecked repeats, the first is found.
    index->owners.try_emplace(base::XxHash64(slot.family.layout.labels(i)),
                              ref);
  }
}

void Store::Unlink(std::unique_ptr<Slot> slot) {
  FamilyIndex& index = *slot->index;
  index.slots[slot->position] = index.slots.back();
  index.slots[slot->position]->position = slot->position;
  index.slots.pop_back();
  if (index.slots.empty()) {
    families_.erase(index.name);
    return;
  }
  const std::size_t metrics = slot->family.layout.metric_count();
  for (std::size_t i = 0; i < metrics; ++i) {
    const auto owner =
        index.owners.find(base::XxHash64(slot->family.layout.labels(i)));
    if (owner != index.owners.end() && owner->second.slot == slot.get()) {
      index.owners.erase(owner);
    }
  }
  slot->retired = true;
  slot->family = Family();
  index.retired.push_back(std::move(slot));
  index.retired_metrics += metrics;
  if (index.retired_metrics > index.order.size() / 2) DropRetired(index);
}

void Store::DropRetired(FamilyIndex& index) {
  const auto is_retired = [](const MetricRef& ref) {
    return ref.slot->retired;
  };
  const auto sorted_end =
      index.order.begin() + static_cast<std::ptrdiff_t>(index.sorted_count);
  index.sorted_count -= static_cast<std::size_t>(
      std::count_if(index.order.begin(), sorted_end, is_retired));
  std::erase_if(index.order, is_retired);
  index.retired.clear();
  index.retired_metrics = 0;
}

void Store::Sort(FamilyIndex& index) {
  if (!index.retired.empty()) DropRetired(index);
  if (index.sorted_count == index.order.size()) return;
  const auto less = [](const MetricRef& a, const MetricRef& b) {
    return MetricLess(a.slot->family.layout, a.metric, b.slot->family.layout,
                      b.metric);
  };
  const auto middle =
      index.order.begin() + static_cast<std::ptrdiff_t>(index.sorted_count);
  std::sort(middle, index.order.end(), less);
  std::inplace_merge(index.order.begin(), middle, index.order.end(), less);
  index.sorted_count = index.order.size();
}

std::vector<std::string> Store::FamilyNames() const {
  base::ReaderMutexLock lock(mutex_);
  std::vector<std::string> names;
  names.reserve(families_.size());
  for (const auto& [name, index] : families_) names.push_back(name);
  return names;
}

void Store::AppendFamily(absl::string_view name, bool with_head,
                         std::string* out) {
  base::MutexLock lock(mutex_);
  const auto it = families_.find(name);
  if (it == families_.end()) return;
  FamilyIndex& index = *it->second;
  Sort(index);
  if (with_head) {
    // Groups may differ in help: the first with one wins.
    const auto has_help = [](const Slot* slot) {
      return !slot->family.help.empty();
    };
    const auto slot =
        std::find_if(index.slots.begin(), index.slots.end(), has_help);
    AppendFamilyHead(
        slot == index.slots.end() ? index.slots[0]->family : (*slot)->family,
        out);
  }
  for (const MetricRef& ref : index.order) {
    AppendMetric(ref.slot->family, ref.metric, out);
  }
}

std::vector<Store::Group> Store::Groups() const {
  base::ReaderMutexLock lock(mutex_);
  std::vector<Group> groups;
  groups.reserve(groups_.size());
  for (const auto& [key, pushed] : groups_) {
    Group group{.labels = pushed->labels,
                .last_push_successful = false,
                .families = {}};
    double pushed_at = 0;
    double failed_at = 0;
    for (const auto& [name, slot] : pushed->slots) {
      group.families.push_back({slot->family, slot->pushed_ms});
      if (name == kPushTime) pushed_at = slot->family.values[0];
      if (name == kFailureTime) failed_at = slot->family.values[0];
    }
    group.last_push_successful = pushed_at >= failed_at && pushed_at > 0;
    groups.push_back(std::move(group));
  }
  return groups;
}

std::size_t Store::group_count() const {
  base::ReaderMutexLock lock(mutex_);
  return groups_.size();
}

absl::Status Store::Persist(const PushedGroup& group, bool layouts_changed) {
  if (options_.persistence == nullptr) return absl::OkStatus();
  Persistence::Record record{
      .group = group.key, .layouts = nullptr, .values = {}};
  std::string layouts;
  std::string encoded;
  for (const auto& [name, slot] : group.slots) {
    base::PutVarint(slot->pushed_ms, &record.values);
    base::PutUvarint(slot->family.values.size(), &record.values);
    for (const double value : slot->family.values) {
      base::PutBe64(std::bit_cast<std::uint64_t>(value), &record.values);
    }
    if (!layouts_changed) continue;
    encoded.clear();
    slot->family.layout.Encode(&encoded);
    for (const absl::string_view text :
         {absl::string_view(name), absl::string_view(slot->family.help),
          absl::string_view(encoded)}) {
      base::PutUvarint(text.size(), &layouts);
      layouts.append(text.data(), text.size());
    }
    layouts.push_back(static_cast<char>(slot->family.type));
  }
  if (layouts_changed) record.layouts = &layouts;
  return options_.persistence->Write(record);
}

absl::Status Store::Load() {
  if (options_.persistence == nullptr) return absl::OkStatus();
  return options_.persistence->Load(
      [this](absl::string_view key, absl::string_view layouts,
             absl::string_view values) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        // Called with the lock that Load() was called with.
        return LoadGroup(key, layouts, values);
      });
}

absl::Status Store::LoadGroup(absl::string_view key, absl::string_view layouts,
                              absl::string_view values) {
  const auto malformed = [] {
    return absl::DataLossError("a stored group is malformed");
  };
  LabelPairs labels;
  if (!DecodeGroupKey(key, &labels)) return malformed();
  PushedGroup& group = GetOrCreate(labels);
  base::ByteReader layout_reader(layouts);
  base::ByteReader value_reader(values);
  while (layout_reader.ok() && layout_reader.remaining() > 0) {
    Family family;
    family.name = std::string(layout_reader.UvarintBytes());
    family.help = std::string(layout_reader.UvarintBytes());
    if (!Layout::Decode(layout_reader.UvarintBytes(), &family.layout)) {
      return malformed();
    }
    family.type = static_cast<MetricType>(layout_reader.Byte());
    const std::int64_t pushed_ms = value_reader.Varint();
    const std::uint64_t count = value_reader.Uvarint();
    if (!value_reader.ok() || !layout_reader.ok() ||
        count != family.layout.line_count()) {
      return malformed();
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      family.values.push_back(std::bit_cast<double>(value_reader.Be64()));
    }
    Put(group, std::move(family), pushed_ms);
  }
  if (!layout_reader.ok() || !value_reader.ok()) return malformed();
  return absl::OkStatus();
}

}  // namespace narthex::pushgateway
