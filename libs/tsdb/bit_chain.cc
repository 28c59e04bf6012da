#include "libs/tsdb/bit_chain.h"

#include <algorithm>
#include <cstring>

namespace narthex::tsdb {
namespace {

using Handle = base::BlockArena::Handle;

Handle NextOf(const base::BlockArena& arena, Handle block) {
  Handle next;
  std::memcpy(&next, arena.At(block), sizeof(next));
  return next;
}

void SetNext(base::BlockArena& arena, Handle block, Handle next) {
  std::memcpy(arena.At(block), &next, sizeof(next));
}

}  // namespace

void BitChain::AddBlock() {
  const Handle added = arena_.Allocate();
  if (end_.block == base::BlockArena::kNone) {
    SetNext(arena_, added, added);
  } else {
    SetNext(arena_, added, NextOf(arena_, end_.block));
    SetNext(arena_, end_.block, added);
  }
  end_.block = added;
  end_.used = 0;
}

void BitChain::PutBytes(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (end_.block == base::BlockArena::kNone || end_.used == kPayloadBytes) {
      AddBlock();
    }
    const std::size_t n = std::min(bytes.size(), kPayloadBytes - end_.used);
    std::memcpy(arena_.At(end_.block) + sizeof(Handle) + end_.used,
                bytes.data(), n);
    end_.used = static_cast<std::uint8_t>(end_.used + n);
    bytes.remove_prefix(n);
  }
}

ChainBytes::ChainBytes(const base::BlockArena& arena, Handle block,
                       std::size_t used) {
  if (block == base::BlockArena::kNone) return;
  Handle at = NextOf(arena, block);
  if (at == block) {
    bytes_ = {arena.At(block) + sizeof(Handle), used};
    return;
  }
  copy_.reserve(8 * BitChain::kPayloadBytes);
  for (; at != block; at = NextOf(arena, at)) {
    copy_.append(arena.At(at) + sizeof(Handle), BitChain::kPayloadBytes);
  }
  copy_.append(arena.At(block) + sizeof(Handle), used);
  bytes_ = copy_;
}

void FreeChain(base::BlockArena& arena, Handle block) {
  if (block == base::BlockArena::kNone) return;
  const Handle first = NextOf(arena, block);
  Handle at = first;
  do {
    const Handle next = NextOf(arena, at);
    arena.Free(at);
    at = next;
  } while (at != first);
}

}  // namespace narthex::tsdb
