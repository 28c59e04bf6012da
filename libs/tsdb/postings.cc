#include "libs/tsdb/postings.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "libs/base/status.h"

namespace narthex::tsdb {

PostingsView PostingsView::BigEndian(absl::string_view bytes) {
  PostingsView view;
  view.data_ = bytes.data();
  view.size_ = bytes.size() / sizeof(SeriesId);
  view.big_endian_ = true;
  return view;
}

PostingsView PostingsView::Owning(Postings postings) {
  auto owned = std::make_shared<const Postings>(std::move(postings));
  PostingsView view(*owned);
  view.owned_ = std::move(owned);
  return view;
}

SeriesId PostingsView::operator[](std::size_t i) const {
  SeriesId id;
  std::memcpy(&id, data_ + i * sizeof(id), sizeof(id));
  return big_endian_ ? __builtin_bswap32(id) : id;
}

std::size_t PostingsView::Seek(std::size_t from, SeriesId id) const {
  if (from >= size_ || (*this)[from] >= id) return std::min(from, size_);
  // Doubling steps until [low, high] brackets the answer: (*this)[low] < id.
  std::size_t low = from;
  std::size_t step = 1;
  while (low + step < size_ && (*this)[low + step] < id) {
    low += step;
    step *= 2;
  }
  std::size_t high = std::min(low + step, size_);
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    ((*this)[middle] < id ? low : high) = middle;
  }
  return high;
}

void PostingsView::AppendTo(Postings* out) const {
  if (size_ == 0) return;
  const std::size_t before = out->size();
  out->resize(before + size_);
  SeriesId* to = out->data() + before;
  std::memcpy(to, data_, size_ * sizeof(SeriesId));
  if (!big_endian_) return;
  for (std::size_t i = 0; i < size_; ++i) to[i] = __builtin_bswap32(to[i]);
}

namespace {

void Retain(const PostingsView& list, Postings* postings) {
  std::size_t kept = 0;
  std::size_t at = 0;
  for (const SeriesId id : *postings) {
    at = list.Seek(at, id);
    if (at == list.size()) break;
    if (list[at] == id) (*postings)[kept++] = id;
  }
  postings->resize(kept);
}

/// What the matchers ask of an index, collected list by list.
class Selection {
 public:
  explicit Selection(const PostingsSource& source) : source_(source) {}

  absl::Status Include(const model::Matcher& matcher);
  absl::Status Exclude(const model::Matcher& matcher);
  absl::StatusOr<Postings> Result();
  /// Whether nothing can be left, whatever is added.
  bool hopeless() const { return hopeless_; }

 private:
  /// The union of the lists of all values of `matcher`'s label for which it
  /// says `wanted`.
  absl::StatusOr<PostingsView> Union(const model::Matcher& matcher,
                                     bool wanted);

  const PostingsSource& source_;
  std::vector<PostingsView> include_;
  std::vector<PostingsView> exclude_;
  std::deque<Postings> owned_;  // What the views of unions look at.
  bool hopeless_ = false;
};

bool IsPositive(model::MatchType type) {
  return type == model::MatchType::kEqual || type == model::MatchType::kRegex;
}

absl::StatusOr<PostingsView> Selection::Union(const model::Matcher& matcher,
                                              bool wanted) {
  std::vector<PostingsView> lists;
  const bool listed = IsPositive(matcher.type()) == wanted;
  if (listed && matcher.type() != model::MatchType::kRegex &&
      matcher.type() != model::MatchType::kNotRegex &&
      !matcher.value().empty()) {
    return source_.Find(matcher.name(), matcher.value());
  }
  if (listed && matcher.regex() != nullptr &&
      !matcher.regex()->literals().empty()) {
    for (const std::string& value : matcher.regex()->literals()) {
      if (value.empty()) continue;
      NARTHEX_ASSIGN_OR_RETURN(PostingsView list,
                               source_.Find(matcher.name(), value));
      if (!list.empty()) lists.push_back(list);
    }
  } else {
    const absl::string_view prefix =
        listed && matcher.regex() != nullptr
            ? absl::string_view(matcher.regex()->prefix())
            : absl::string_view();
    NARTHEX_RETURN_IF_ERROR(source_.ForEachValue(
        matcher.name(), prefix,
        [&](absl::string_view value,
            const PostingsSource::Fetch& fetch) -> absl::Status {
          if (matcher.Matches(value) != wanted) return absl::OkStatus();
          NARTHEX_ASSIGN_OR_RETURN(PostingsView list, fetch());
          lists.push_back(list);
          return absl::OkStatus();
        }));
  }
  if (lists.size() == 1) return lists[0];
  owned_.push_back(Merge(lists));
  return PostingsView(owned_.back());
}

absl::Status Selection::Include(const model::Matcher& matcher) {
  NARTHEX_ASSIGN_OR_RETURN(PostingsView list, Union(matcher, true));
  hopeless_ = hopeless_ || list.empty();
  include_.push_back(list);
  return absl::OkStatus();
}

absl::Status Selection::Exclude(const model::Matcher& matcher) {
  const model::AnchoredRegex* regex = matcher.regex();
  // Nothing can differ from this one.
  if (matcher.type() == model::MatchType::kRegex && regex->pattern() == ".*") {
    return absl::OkStatus();
  }
  NARTHEX_ASSIGN_OR_RETURN(PostingsView list, Union(matcher, false));
  if (!list.empty()) exclude_.push_back(list);
  return absl::OkStatus();
}

absl::StatusOr<Postings> Selection::Result() {
  if (hopeless_) return Postings();
  if (include_.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(PostingsView all, source_.All());
    include_.push_back(all);
  }
  Postings postings = Intersect(std::move(include_));
  for (const PostingsView& list : exclude_) Subtract(list, &postings);
  return postings;
}

}  // namespace

Postings Intersect(std::vector<PostingsView> lists) {
  Postings postings;
  if (lists.empty()) return postings;
  std::sort(lists.begin(), lists.end(),
            [](const PostingsView& a, const PostingsView& b) {
              return a.size() < b.size();
            });
  lists[0].AppendTo(&postings);
  for (std::size_t i = 1; i < lists.size() && !postings.empty(); ++i) {
    Retain(lists[i], &postings);
  }
  return postings;
}

Postings Merge(const std::vector<PostingsView>& lists) {
  std::size_t total = 0;
  for (const PostingsView& list : lists) total += list.size();
  Postings postings;
  postings.reserve(total);
  for (const PostingsView& list : lists) list.AppendTo(&postings);
  if (lists.size() < 2) return postings;
  std::sort(postings.begin(), postings.end());
  postings.erase(std::unique(postings.begin(), postings.end()), postings.end());
  return postings;
}

void Subtract(const PostingsView& other, Postings* postings) {
  std::size_t kept = 0;
  std::size_t at = 0;
  for (const SeriesId id : *postings) {
    at = other.Seek(at, id);
    if (at == other.size() || other[at] != id) (*postings)[kept++] = id;
  }
  postings->resize(kept);
}

bool Intersects(const PostingsView& a, const PostingsView& b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) return true;
    if (a[i] < b[j]) {
      i = a.Seek(i, b[j]);
    } else {
      j = b.Seek(j, a[i]);
    }
  }
  return false;
}

absl::StatusOr<Postings> PostingsForMatchers(
    const PostingsSource& source, const std::vector<model::Matcher>& matchers) {
  // Equalities cost one lookup, the others may walk all values of a label: an
  // equality that finds nothing saves the rest.
  Selection selection(source);
  for (const model::Matcher& matcher : matchers) {
    if (matcher.MatchesEmpty() || matcher.type() != model::MatchType::kEqual) {
      continue;
    }
    NARTHEX_RETURN_IF_ERROR(selection.Include(matcher));
    if (selection.hopeless()) return Postings();
  }
  for (const model::Matcher& matcher : matchers) {
    if (matcher.MatchesEmpty()) {
      NARTHEX_RETURN_IF_ERROR(selection.Exclude(matcher));
    } else if (matcher.type() != model::MatchType::kEqual) {
      NARTHEX_RETURN_IF_ERROR(selection.Include(matcher));
    }
    if (selection.hopeless()) return Postings();
  }
  return selection.Result();
}

}  // namespace narthex::tsdb
