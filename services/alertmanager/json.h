#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::alertmanager {

/// Appends `text` as a JSON string as Go's encoding/json writes it: < > & and
/// U+2028/9 escaped, invalid UTF-8 replaced.
void AppendJsonString(absl::string_view text, std::string* out);

/// Reads JSON from front to back into whatever the caller wants, without a
/// tree in between. After an error every further call does nothing and
/// returns false, so that a reader may check status() once at the end.
///
///   if (json.BeginObject()) while (json.NextField(&name)) { ... }
class JsonReader {
 public:
  enum class Kind { kNull, kBool, kNumber, kString, kObject, kArray, kError };

  /// `text` must outlive the reader.
  explicit JsonReader(absl::string_view text)
      : position_(text.data()), end_(text.data() + text.size()) {}

  /// What comes next.
  Kind Peek();

  bool BeginArray();
  /// Whether another item follows; steps over the end of the array if not.
  bool NextItem();
  bool BeginObject();
  /// Reads the name of the next field, or steps over the end of the object.
  bool NextField(std::string* name);

  bool String(std::string* out);
  bool Bool(bool* out);
  /// Reads and drops one value of any kind.
  bool Skip();
  /// Reads a null if one comes next.
  bool TakeNull();
  /// Nothing but space may follow.
  bool End();

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  /// Records an error of the reader's user.
  bool Fail(absl::string_view reason);

 private:
  void SkipSpace();
  bool Consume(char c);
  bool Literal(absl::string_view word);
  bool Escape(std::string* out);
  bool Hex4(std::uint32_t* out);
  bool Number();

  const char* position_;
  const char* end_;
  bool first_ = false;  // Nothing of the collection just begun was read.
  int depth_ = 0;
  absl::Status status_;
};

}  // namespace narthex::alertmanager
