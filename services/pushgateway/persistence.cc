#include "services/pushgateway/persistence.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::pushgateway {

namespace {

// First byte of a key.
constexpr char kLayouts = 'l';
constexpr char kValues = 'v';

std::string KeyOf(absl::string_view group, char kind) {
  return absl::StrCat(absl::string_view(&kind, 1), group);
}

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": ", status.ToString()));
}

// Groups are small, few and in memory anyway: no caches, small buffers.
rocksdb::Options SmallOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 8 << 20;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  options.compression = rocksdb::kNoCompression;
  options.max_open_files = 64;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace

struct Persistence::State {
  std::unique_ptr<rocksdb::DB> db;
};

Persistence::Persistence(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

Persistence::~Persistence() { state_->db->Close(); }

absl::StatusOr<std::unique_ptr<Persistence>> Persistence::Open(
    const std::string& directory) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  rocksdb::DB* db = nullptr;
  NARTHEX_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::Open(SmallOptions(), directory, &db),
                absl::StrCat("open group storage ", directory)));
  auto state = std::make_unique<State>();
  state->db.reset(db);
  return std::unique_ptr<Persistence>(new Persistence(std::move(state)));
}

absl::Status Persistence::Write(const Record& record) {
  const std::string values_key = KeyOf(record.group, kValues);
  if (record.layouts == nullptr) {
    return FromRocks(state_->db->Put({}, values_key, record.values),
                     "write group");
  }
  rocksdb::WriteBatch batch;
  batch.Put(KeyOf(record.group, kLayouts), *record.layouts);
  batch.Put(values_key, record.values);
  return FromRocks(state_->db->Write({}, &batch), "write group");
}

absl::Status Persistence::Remove(absl::string_view group) {
  rocksdb::WriteBatch batch;
  batch.Delete(KeyOf(group, kLayouts));
  batch.Delete(KeyOf(group, kValues));
  return FromRocks(state_->db->Write({}, &batch), "remove group");
}

absl::Status Persistence::RemoveAll() {
  rocksdb::WriteBatch batch;
  const std::unique_ptr<rocksdb::Iterator> it(state_->db->NewIterator({}));
  for (it->SeekToFirst(); it->Valid(); it->Next()) batch.Delete(it->key());
  NARTHEX_RETURN_IF_ERROR(FromRocks(it->status(), "wipe groups"));
  return FromRocks(state_->db->Write({}, &batch), "wipe groups");
}

absl::Status Persistence::Load(const Visit& visit) {
  const std::unique_ptr<rocksdb::Iterator> it(state_->db->NewIterator({}));
  std::string layouts;
  for (it->Seek(std::string(1, kValues)); it->Valid(); it->Next()) {
    absl::string_view group = View(it->key());
    if (group[0] != kValues) break;
    group.remove_prefix(1);
    const auto found = state_->db->Get({}, KeyOf(group, kLayouts), &layouts);
    NARTHEX_RETURN_IF_ERROR(FromRocks(found, "load group"));
    NARTHEX_RETURN_IF_ERROR(visit(group, layouts, View(it->value())));
  }
  return FromRocks(it->status(), "load groups");
}

}  // namespace narthex::pushgateway
