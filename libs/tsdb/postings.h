#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/matcher.h"

namespace narthex::tsdb {

/// Names a series in one index; ascending ids are ascending labels in a block.
using SeriesId = std::uint32_t;

/// Series ids, ascending, each once.
using Postings = std::vector<SeriesId>;

/// A list of postings, as a rule held elsewhere: numbers in memory, or the
/// big-endian ones of an index file.
class PostingsView {
 public:
  PostingsView() = default;
  PostingsView(const Postings& postings)  // NOLINT: a view of it.
      : PostingsView(absl::MakeConstSpan(postings)) {}
  explicit PostingsView(absl::Span<const SeriesId> ids)
      : data_(reinterpret_cast<const char*>(ids.data())), size_(ids.size()) {}
  /// Holds the postings itself.
  static PostingsView Owning(Postings postings);
  /// `bytes` holds 4 bytes an id.
  static PostingsView BigEndian(absl::string_view bytes);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  SeriesId operator[](std::size_t i) const;
  /// Index of the first id at or after `from` that is not below `id`; size()
  /// when there is none. Gallops: cheap for near ones.
  std::size_t Seek(std::size_t from, SeriesId id) const;
  void AppendTo(Postings* out) const;

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  bool big_endian_ = false;
  std::shared_ptr<const Postings> owned_;  // Null: held elsewhere.
};

/// Ids that are in all lists; the smallest list leads.
Postings Intersect(std::vector<PostingsView> lists);
/// Ids that are in at least one list.
Postings Merge(const std::vector<PostingsView>& lists);
/// Removes from `*postings` what is in `other`.
void Subtract(const PostingsView& other, Postings* postings);
/// Whether the two have an id in common.
bool Intersects(const PostingsView& a, const PostingsView& b);

/// An index from label pairs to series. Views stay valid while it lives and,
/// when it changes, as its own documentation says.
class PostingsSource {
 public:
  virtual ~PostingsSource() = default;

  virtual absl::StatusOr<PostingsView> All() const = 0;
  /// Empty when no series has the pair.
  virtual absl::StatusOr<PostingsView> Find(absl::string_view name,
                                            absl::string_view value) const = 0;
  /// Calls `visit` for every value of `name` that begins with `prefix`, in
  /// any order, with a function of that value that fetches its postings;
  /// stops at the first error.
  using Fetch = std::function<absl::StatusOr<PostingsView>()>;
  using Visit =
      std::function<absl::Status(absl::string_view value, const Fetch& fetch)>;
  virtual absl::Status ForEachValue(absl::string_view name,
                                    absl::string_view prefix,
                                    const Visit& visit) const = 0;
};

/// The series that satisfy all `matchers` (all series when there is none).
absl::StatusOr<Postings> PostingsForMatchers(
    const PostingsSource& source, const std::vector<model::Matcher>& matchers);

}  // namespace narthex::tsdb
