#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::yaml {

class TreeBuilder;

/// One value of a parsed document. Immutable; lives as long as its Document.
/// Aliases are expanded and merge keys ("<<") applied, so a tree is all there
/// is.
class Node {
 public:
  enum class Kind { kNull, kScalar, kSequence, kMap };
  struct Entry {
    std::string key;
    int line = 0;
    std::unique_ptr<Node> value;
  };

  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_scalar() const { return kind_ == Kind::kScalar; }
  bool is_sequence() const { return kind_ == Kind::kSequence; }
  bool is_map() const { return kind_ == Kind::kMap; }

  /// The text of a scalar; empty for every other kind.
  const std::string& scalar() const { return scalar_; }
  /// Whether the scalar was written with quotes or as a block: then it is
  /// text, whatever it looks like.
  bool quoted() const { return quoted_; }
  /// Items of a sequence; empty for every other kind.
  const std::vector<std::unique_ptr<Node>>& items() const { return items_; }
  /// Entries of a map in the order of the file, keys unique; empty for every
  /// other kind.
  const std::vector<Entry>& entries() const { return entries_; }
  /// The value of `key` in a map, null when there is none.
  const Node* Find(absl::string_view key) const;

  /// Where the value begins, counted from 1.
  int line() const { return line_; }
  /// The way from the root: "scrape_configs[0].job_name"; empty at the root.
  std::string path() const;
  /// kInvalidArgument: "<file>: line <n>: <path>: <reason>".
  absl::Status Error(absl::string_view reason) const;
  /// The same for the field `key` of this map, at `line`.
  absl::Status ErrorAt(int line, absl::string_view reason) const;

 private:
  friend class TreeBuilder;
  friend class Document;
  Node() = default;

  Kind kind_ = Kind::kNull;
  bool quoted_ = false;
  int line_ = 0;
  std::size_t index_ = 0;  // Position among the parent's items or entries.
  const Node* parent_ = nullptr;
  const std::string* file_ = nullptr;
  std::string scalar_;
  std::vector<std::unique_ptr<Node>> items_;
  std::vector<Entry> entries_;
};

/// A parsed YAML (or JSON) text of one document.
class Document {
 public:
  /// Parses `text`; `file` is the name that errors carry. An empty text is a
  /// document whose root is null. kInvalidArgument with file and line when it
  /// is malformed, has a repeated key, is not UTF-8, nests deeper than 200
  /// levels or grows beyond a million values by its aliases.
  static absl::StatusOr<Document> Parse(absl::string_view text,
                                        absl::string_view file);
  /// Reads and parses the file `path`.
  static absl::StatusOr<Document> Load(const std::string& path);

  Document(Document&&) = default;
  Document& operator=(Document&&) = default;
  ~Document();

  const Node& root() const { return *root_; }
  const std::string& file() const { return *file_; }

 private:
  Document() = default;
  std::unique_ptr<std::string> file_;
  std::unique_ptr<Node> root_;
};

}  // namespace narthex::yaml
