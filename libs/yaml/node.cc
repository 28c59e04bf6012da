#include "libs/yaml/node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::yaml {
namespace {

constexpr std::size_t kMaxDepth = 200;
constexpr std::size_t kMaxNodes = 1'000'000;
constexpr char kCoreTag[] = "tag:yaml.org,2002:";

std::string Place(absl::string_view file, int line) {
  std::string out;
  if (!file.empty()) absl::StrAppend(&out, file, ": ");
  if (line > 0) absl::StrAppend(&out, "line ", line, ": ");
  return out;
}

bool IsNullText(absl::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" ||
         text == "NULL";
}

}  // namespace

const Node* Node::Find(absl::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return entry.value.get();
  }
  return nullptr;
}

std::string Node::path() const {
  std::vector<const Node*> way;
  for (const Node* n = this; n->parent_ != nullptr; n = n->parent_) {
    way.push_back(n);
  }
  std::string out;
  for (auto it = way.rbegin(); it != way.rend(); ++it) {
    const Node& parent = *(*it)->parent_;
    if (parent.is_sequence()) {
      absl::StrAppend(&out, "[", (*it)->index_, "]");
    } else {
      absl::StrAppend(&out, out.empty() ? "" : ".",
                      parent.entries_[(*it)->index_].key);
    }
  }
  return out;
}

absl::Status Node::Error(absl::string_view reason) const {
  return ErrorAt(line_, reason);
}

absl::Status Node::ErrorAt(int line, absl::string_view reason) const {
  std::string where = path();
  if (!where.empty()) where += ": ";
  return absl::InvalidArgumentError(
      absl::StrCat(Place(file_ == nullptr ? "" : *file_, line), where, reason));
}

/// Builds the tree from the parser's events. Throws YAML::ParserException,
/// which the parser's caller catches.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string* file) : file_(file) {}

  std::unique_ptr<Node> Take() {
    return root_ != nullptr ? std::move(root_)
                            : Make(YAML::Mark(), Node::Kind::kNull);
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (WantsKey()) {
      SetKey(mark, "", true);
      return;
    }
    auto node = Make(mark, Node::Kind::kNull);
    // The parser places a missing value at whatever comes next.
    if (!open_.empty() && open_.back().has_key) {
      node->line_ = open_.back().key_line;
    }
    Attach(mark, std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    const bool plain = tag == "?" || tag.empty();
    if (WantsKey()) {
      SetKey(mark, Text(mark, tag, value), plain);
      if (anchor != 0) anchored_keys_[anchor] = open_.back().key;
      return;
    }
    if (plain && IsNullText(value)) {
      Attach(mark, Make(mark, Node::Kind::kNull), anchor);
      return;
    }
    auto node = Make(mark, Node::Kind::kScalar);
    node->scalar_ = Text(mark, tag, value);
    node->quoted_ = IsText(tag);
    Attach(mark, std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (WantsKey()) {
      const auto key = anchored_keys_.find(anchor);
      if (key == anchored_keys_.end()) Throw(mark, "a map key must be text");
      SetKey(mark, key->second, false);
      return;
    }
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) {
      const auto key = anchored_keys_.find(anchor);
      if (key == anchored_keys_.end()) {
        Throw(mark, "an anchor contains itself");
      }
      auto node = Make(mark, Node::Kind::kScalar);
      node->scalar_ = key->second;
      Attach(mark, std::move(node), 0);
      return;
    }
    Attach(mark, Copy(mark, *it->second), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, Node::Kind::kSequence, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(mark, Node::Kind::kMap, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    std::unique_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    bool merge = false;
    std::set<std::string> keys;
    std::vector<std::unique_ptr<Node>> merges;
  };

  [[noreturn]] static void Throw(const YAML::Mark& mark,
                                 const std::string& reason) {
    throw YAML::ParserException(mark, reason);
  }

  /// Whether a scalar of this tag is text even when it looks otherwise. "!" is
  /// how the parser tags what was in quotes.
  static bool IsText(const std::string& tag) {
    return tag == "!" || tag == absl::StrCat(kCoreTag, "str") ||
           tag == absl::StrCat(kCoreTag, "binary");
  }

  static std::string Text(const YAML::Mark& mark, const std::string& tag,
                          const std::string& value) {
    if (tag != absl::StrCat(kCoreTag, "binary")) return value;
    std::string bytes;
    if (!absl::Base64Unescape(value, &bytes)) {
      Throw(mark, "!!binary value contains invalid base64 data");
    }
    return bytes;
  }

  bool WantsKey() const {
    return !open_.empty() && open_.back().node->is_map() &&
           !open_.back().has_key;
  }

  void SetKey(const YAML::Mark& mark, const std::string& key, bool plain) {
    Level& level = open_.back();
    level.has_key = true;
    level.merge = plain && key == "<<";
    level.key = key;
    level.key_line = mark.line + 1;
    if (!level.merge && !level.keys.insert(key).second) {
      Throw(mark,
            absl::StrCat("key ", base::Quote(key), " already set in this map"));
    }
  }

  std::unique_ptr<Node> Make(const YAML::Mark& mark, Node::Kind kind) {
    if (++nodes_ > kMaxNodes) {
      Throw(mark, "document has too many values, aliases counted");
    }
    std::unique_ptr<Node> node(new Node());
    node->kind_ = kind;
    node->line_ = mark.line + 1;
    node->file_ = file_;
    return node;
  }

  std::unique_ptr<Node> Copy(const YAML::Mark& mark, const Node& from) {
    auto node = Make(mark, from.kind_);
    node->line_ = from.line_;
    node->quoted_ = from.quoted_;
    node->scalar_ = from.scalar_;
    for (const auto& item : from.items_) {
      Push(node.get(), Copy(mark, *item));
    }
    for (const auto& entry : from.entries_) {
      Push(node.get(), entry.key, entry.line, Copy(mark, *entry.value));
    }
    return node;
  }

  static void Push(Node* parent, std::unique_ptr<Node> item) {
    item->parent_ = parent;
    item->index_ = parent->items_.size();
    parent->items_.push_back(std::move(item));
  }
  static void Push(Node* parent, const std::string& key, int line,
                   std::unique_ptr<Node> value) {
    value->parent_ = parent;
    value->index_ = parent->entries_.size();
    parent->entries_.push_back({key, line, std::move(value)});
  }

  void Open(const YAML::Mark& mark, Node::Kind kind, YAML::anchor_t anchor) {
    if (WantsKey()) Throw(mark, "a map key must be text");
    if (open_.size() >= kMaxDepth) Throw(mark, "nested too deeply");
    Level level;
    level.node = Make(mark, kind);
    level.anchor = anchor;
    level.mark = mark;
    open_.push_back(std::move(level));
  }

  void Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    for (const auto& merged : level.merges) Merge(level, *merged);
    Attach(level.mark, std::move(level.node), level.anchor);
  }

  /// Adds the entries of `from` that the map does not have itself.
  void Merge(Level& level, const Node& from) {
    for (const auto& entry : from.entries_) {
      if (!level.keys.insert(entry.key).second) continue;
      Push(level.node.get(), entry.key, entry.line,
           Copy(level.mark, *entry.value));
    }
  }

  void CollectMerge(const YAML::Mark& mark, std::unique_ptr<Node> value) {
    Level& level = open_.back();
    if (value->is_map()) {
      level.merges.push_back(std::move(value));
      return;
    }
    bool good = value->is_sequence();
    for (auto& item : value->items_) good = good && item->is_map();
    if (!good) Throw(mark, "map merge requires a map or a list of maps");
    for (auto& item : value->items_) level.merges.push_back(std::move(item));
  }

  void Attach(const YAML::Mark& mark, std::unique_ptr<Node> node,
              YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = Keep(mark, *node);
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = open_.back();
    if (level.node->is_sequence()) {
      Push(level.node.get(), std::move(node));
      return;
    }
    level.has_key = false;
    if (level.merge) {
      CollectMerge(mark, std::move(node));
    } else {
      Push(level.node.get(), level.key, level.key_line, std::move(node));
    }
  }

  /// A copy that outlives the anchored node, which a merge may drop.
  const Node* Keep(const YAML::Mark& mark, const Node& node) {
    kept_.push_back(Copy(mark, node));
    return kept_.back().get();
  }

  const std::string* file_;
  std::size_t nodes_ = 0;
  std::vector<Level> open_;
  std::map<YAML::anchor_t, const Node*> anchors_;
  std::map<YAML::anchor_t, std::string> anchored_keys_;
  std::vector<std::unique_ptr<Node>> kept_;
  std::unique_ptr<Node> root_;
};

namespace {

/// Line of the first byte that makes `text` invalid UTF-8.
int FirstBadLine(absl::string_view text) {
  int line = 1;
  for (absl::string_view part : absl::StrSplit(text, '\n')) {
    if (!base::IsValidUtf8(part)) return line;
    ++line;
  }
  return 0;
}

}  // namespace

absl::StatusOr<Document> Document::Parse(absl::string_view text,
                                         absl::string_view file) {
  Document document;
  document.file_ = std::make_unique<std::string>(file);
  if (!base::IsValidUtf8(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(Place(file, FirstBadLine(text)), "invalid UTF-8"));
  }
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    TreeBuilder builder(document.file_.get());
    parser.HandleNextDocument(builder);
    document.root_ = builder.Take();
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(Place(file, e.mark.line + 1), e.msg));
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(Place(file, 0), e.what()));
  }
  return document;
}

absl::StatusOr<Document> Document::Load(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::string text, base::ReadFile(path));
  return Parse(text, path);
}

Document::~Document() = default;

}  // namespace narthex::yaml
