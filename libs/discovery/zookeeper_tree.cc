#include "libs/discovery/zookeeper_tree.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

/// What the paths of a node's children begin with.
std::string Below(const std::string& path) {
  return absl::EndsWith(path, "/") ? path : path + "/";
}

}  // namespace

ZookeeperTree::ZookeeperTree(std::string root, Changed changed)
    : root_(std::move(root)), changed_(std::move(changed)) {}

absl::Status ZookeeperTree::Read(ZookeeperSession& session,
                                 const std::string& path, Nodes* nodes) {
  std::vector<std::string> waiting = {path};
  while (!waiting.empty()) {
    const std::string next = std::move(waiting.back());
    waiting.pop_back();
    NARTHEX_ASSIGN_OR_RETURN(auto data, session.GetData(next));
    if (!data.has_value()) continue;
    NARTHEX_ASSIGN_OR_RETURN(const auto children, session.GetChildren(next));
    if (!children.has_value()) continue;
    (*nodes)[next] = *std::move(data);
    for (const std::string& child : *children) {
      waiting.push_back(Below(next) + child);
    }
  }
  return absl::OkStatus();
}

absl::Status ZookeeperTree::Sync(ZookeeperSession& session) {
  Nodes fresh;
  NARTHEX_RETURN_IF_ERROR(Read(session, root_, &fresh));
  if (!fresh.contains(root_)) {
    return absl::NotFoundError(absl::StrCat("path ", root_, " does not exist"));
  }
  for (const auto& [path, data] : nodes_) {
    if (!fresh.contains(path)) changed_(path, std::nullopt);
  }
  for (const auto& [path, data] : fresh) {
    const auto known = nodes_.find(path);
    if (known == nodes_.end() || known->second != data) changed_(path, data);
  }
  nodes_ = std::move(fresh);
  return absl::OkStatus();
}

absl::Status ZookeeperTree::Apply(ZookeeperSession& session,
                                  const ZookeeperEvent& event) {
  if (event.path != root_ && !absl::StartsWith(event.path, Below(root_))) {
    return absl::OkStatus();
  }
  switch (event.type) {
    case ZookeeperEvent::Type::kDeleted:
      Remove(event.path);
      break;
    case ZookeeperEvent::Type::kChildren:
      NARTHEX_RETURN_IF_ERROR(ReadChildren(session, event.path));
      break;
    case ZookeeperEvent::Type::kCreated:
    case ZookeeperEvent::Type::kData:
      NARTHEX_RETURN_IF_ERROR(ReadAgain(session, event.path));
      break;
  }
  if (nodes_.contains(root_)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("path ", root_, " no longer exists"));
}

absl::Status ZookeeperTree::ReadAgain(ZookeeperSession& session,
                                      const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const auto data, session.GetData(path));
  if (data.has_value()) {
    Set(path, *data);
  } else {
    Remove(path);
  }
  return absl::OkStatus();
}

absl::Status ZookeeperTree::ReadChildren(ZookeeperSession& session,
                                         const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const auto names, session.GetChildren(path));
  if (!names.has_value()) {
    Remove(path);
    return absl::OkStatus();
  }
  const std::string prefix = Below(path);
  std::set<std::string> children;
  for (const std::string& name : *names) children.insert(prefix + name);
  std::vector<std::string> gone;
  for (auto it = nodes_.lower_bound(prefix);
       it != nodes_.end() && absl::StartsWith(it->first, prefix); ++it) {
    const bool is_child =
        it->first.find('/', prefix.size()) == std::string::npos;
    if (is_child && !children.contains(it->first)) gone.push_back(it->first);
  }
  for (const std::string& child : gone) Remove(child);
  for (const std::string& child : children) {
    if (nodes_.contains(child)) continue;
    Nodes fresh;
    NARTHEX_RETURN_IF_ERROR(Read(session, child, &fresh));
    for (const auto& [added, data] : fresh) Set(added, data);
  }
  return absl::OkStatus();
}

void ZookeeperTree::Set(const std::string& path, const std::string& data) {
  const auto [known, added] = nodes_.try_emplace(path, data);
  if (!added && known->second == data) return;
  known->second = data;
  changed_(path, data);
}

void ZookeeperTree::Remove(const std::string& path) {
  if (nodes_.erase(path) > 0) changed_(path, std::nullopt);
  const std::string prefix = Below(path);
  auto it = nodes_.lower_bound(prefix);
  while (it != nodes_.end() && absl::StartsWith(it->first, prefix)) {
    changed_(it->first, std::nullopt);
    it = nodes_.erase(it);
  }
}

}  // namespace narthex::discovery
