#include "services/alertmanager/state_store.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::alertmanager {
namespace {

rocksdb::Slice ToSlice(absl::string_view text) {
  return {text.data(), text.size()};
}

absl::Status ToStatus(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message =
      absl::StrCat("alertmanager state: ", what, ": ", status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsIOError() &&
      status.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError(message);
  }
  return absl::InternalError(message);
}

// The state is small: a few megabytes at most. So are the buffers.
rocksdb::Options DatabaseOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = 64;
  options.max_background_jobs = 1;
  options.keep_log_file_num = 2;
  options.max_total_wal_size = 8 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 1 << 20;
  options.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

struct StateStore::State {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;

  rocksdb::ColumnFamilyHandle* Family(Kind kind) const {
    return families[kind == Kind::kSilence ? 1 : 2];
  }

  ~State() {
    for (rocksdb::ColumnFamilyHandle* family : families) {
      db->DestroyColumnFamilyHandle(family);
    }
    if (db != nullptr) db->Close();
  }
};

StateStore::StateStore(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
StateStore::~StateStore() = default;

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(
    const std::string& directory) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  auto state = std::make_unique<State>();
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions()},
      {"silences", FamilyOptions()},
      {"notifications", FamilyOptions()},
  };
  rocksdb::DB* db = nullptr;
  NARTHEX_RETURN_IF_ERROR(
      ToStatus(rocksdb::DB::Open(DatabaseOptions(), directory, families,
                                 &state->families, &db),
               absl::StrCat("open ", directory)));
  state->db.reset(db);
  return std::unique_ptr<StateStore>(new StateStore(std::move(state)));
}

absl::Status StateStore::Put(Kind kind, absl::string_view key,
                             absl::string_view value, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kMachine;
  return ToStatus(state_->db->Put(options, state_->Family(kind), ToSlice(key),
                                  ToSlice(value)),
                  "write");
}

absl::Status StateStore::Delete(Kind kind,
                                const std::vector<std::string>& keys) {
  rocksdb::WriteBatch batch;
  for (const std::string& key : keys) {
    batch.Delete(state_->Family(kind), key);
  }
  return ToStatus(state_->db->Write(rocksdb::WriteOptions(), &batch), "delete");
}

absl::Status StateStore::ForEach(Kind kind, const Visit& visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(
      state_->db->NewIterator(rocksdb::ReadOptions(), state_->Family(kind)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    visit(absl::string_view(it->key().data(), it->key().size()),
          absl::string_view(it->value().data(), it->value().size()));
  }
  return ToStatus(it->status(), "read");
}

}  // namespace narthex::alertmanager
