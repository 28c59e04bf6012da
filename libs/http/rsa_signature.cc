#include "libs/http/rsa_signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace narthex::http {
namespace {

const EVP_MD* Digest(RsaDigest digest) {
  switch (digest) {
    case RsaDigest::kSha384:
      return EVP_sha384();
    case RsaDigest::kSha512:
      return EVP_sha512();
    case RsaDigest::kSha256:
      break;
  }
  return EVP_sha256();
}

/// Gives OpenSSL the passphrase, which would ask the terminal otherwise.
int GivePassphrase(char* buffer, int size, int /*is_encryption*/, void* text) {
  const auto* passphrase = static_cast<const std::string*>(text);
  const std::size_t length =
      std::min(passphrase->size(), static_cast<std::size_t>(size));
  std::memcpy(buffer, passphrase->data(), length);
  return static_cast<int>(length);
}

}  // namespace

absl::StatusOr<std::string> SignRsa(absl::string_view text,
                                    const std::string& key_pem,
                                    RsaDigest digest,
                                    const std::string& passphrase) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())),
      BIO_free);
  std::string given = passphrase;
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, GivePassphrase, &given),
      EVP_PKEY_free);
  if (key == nullptr || EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA) {
    return absl::InvalidArgumentError(
        "invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key");
  }
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())),
                        '\0');
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, Digest(digest), nullptr,
                         key.get()) != 1 ||
      EVP_DigestSign(context.get(),
                     reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(text.data()),
                     text.size()) != 1) {
    return absl::InvalidArgumentError("the key cannot sign");
  }
  signature.resize(size);
  return signature;
}

}  // namespace narthex::http
