#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::http {

enum class RsaDigest { kSha256, kSha384, kSha512 };

/// The signature (RSASSA-PKCS1-v1_5) of `text` with a private key in PEM,
/// which may be encrypted with `passphrase`. kInvalidArgument for what is no
/// RSA key.
absl::StatusOr<std::string> SignRsa(absl::string_view text,
                                    const std::string& key_pem,
                                    RsaDigest digest,
                                    const std::string& passphrase = {});

}  // namespace narthex::http
