#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/base/varint.h"
#include "libs/model/labels.h"
#include "libs/storage/storage.h"

/// The fields that records of several kinds are made of.
namespace narthex::tsdb {

/// a - b and a + b that wrap around instead of overflowing on hostile input.
inline std::int64_t Difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}
inline std::int64_t Difference(std::int64_t a, std::int64_t b) {
  return Difference(static_cast<std::uint64_t>(a),
                    static_cast<std::uint64_t>(b));
}
inline std::int64_t WrappingSum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) +
                                   static_cast<std::uint64_t>(b));
}

/// A reader of what follows the type byte.
inline base::ByteReader BodyOfRecord(absl::string_view record) {
  return base::ByteReader(record.empty() ? record : record.substr(1));
}

inline absl::Status MalformedRecord(absl::string_view what,
                                    absl::string_view record) {
  return absl::DataLossError(
      absl::StrCat("malformed ", what, " record of ", record.size(), " bytes"));
}

/// A set of labels, after their count.
void PutLabels(const model::Labels& labels, std::string* out);
/// False when they are cut off.
bool GetLabels(base::ByteReader* in, model::Labels* labels);

struct SampleFields {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_ms = 0;
};

/// The first reference and time of a record, from which its entries count.
struct RecordBase {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;

  static RecordBase Get(base::ByteReader* in) {
    RecordBase base;
    base.ref = in->Be64();
    base.timestamp_ms = static_cast<std::int64_t>(in->Be64());
    return base;
  }
  SampleFields Next(base::ByteReader* in) const {
    SampleFields fields;
    fields.ref = ref + static_cast<std::uint64_t>(in->Varint());
    fields.timestamp_ms = WrappingSum(timestamp_ms, in->Varint());
    return fields;
  }
};

/// The fields of the entries of a record with start times: references count
/// from the entry before, times from the first one, and a start time says
/// whether it is unknown, as before, or another one.
class StartingFields {
 public:
  void Put(const SampleFields& fields, std::string* out) {
    if (!begun_) {
      base::PutVarint(static_cast<std::int64_t>(fields.ref), out);
      base::PutVarint(fields.timestamp_ms, out);
      base::PutVarint(fields.start_ms, out);
      first_ = fields;
      begun_ = true;
    } else {
      base::PutVarint(Difference(fields.ref, before_.ref), out);
      base::PutVarint(Difference(fields.timestamp_ms, first_.timestamp_ms),
                      out);
      PutStart(fields.start_ms, out);
    }
    before_ = fields;
  }

  SampleFields Get(base::ByteReader* in) {
    SampleFields fields;
    fields.ref = before_.ref + static_cast<std::uint64_t>(in->Varint());
    fields.timestamp_ms = WrappingSum(first_.timestamp_ms, in->Varint());
    if (!begun_) {
      fields.start_ms = in->Varint();
      first_ = fields;
      begun_ = true;
    } else {
      fields.start_ms = GetStart(in);
    }
    before_ = fields;
    return fields;
  }

 private:
  static constexpr std::uint8_t kNoStart = 0;
  static constexpr std::uint8_t kSameStart = 1;
  static constexpr std::uint8_t kOtherStart = 2;

  void PutStart(std::int64_t start_ms, std::string* out) const {
    if (start_ms == 0 || start_ms == before_.start_ms) {
      out->push_back(static_cast<char>(start_ms == 0 ? kNoStart : kSameStart));
      return;
    }
    out->push_back(static_cast<char>(kOtherStart));
    base::PutVarint(Difference(start_ms, first_.start_ms), out);
  }

  std::int64_t GetStart(base::ByteReader* in) const {
    switch (in->Byte()) {
      case kNoStart:
        return 0;
      case kSameStart:
        return before_.start_ms;
      default:
        return WrappingSum(first_.start_ms, in->Varint());
    }
  }

  bool begun_ = false;
  SampleFields first_;
  SampleFields before_;
};

}  // namespace narthex::tsdb
