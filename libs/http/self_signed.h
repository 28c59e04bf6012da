#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "libs/base/file.h"

/// For the tests of TLS.
namespace narthex::http {

/// What was written to `bio`, which is freed.
inline std::string TakeText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

/// The name that the certificate is for.
inline constexpr char kTestName[] = "narthex.test";

/// A key and a certificate for kTestName that it signed itself.
struct SelfSigned {
  SelfSigned() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
        EVP_RSA_gen(2048), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(),
                                                           X509_free);
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
    X509_set_pubkey(x509.get(), pkey.get());
    X509_NAME* name = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(kTestName), -1, -1, 0);
    X509_set_issuer_name(x509.get(), name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(
        nullptr, nullptr, NID_subject_alt_name, "DNS:narthex.test");
    X509_add_ext(x509.get(), names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509.get(), pkey.get(), EVP_sha256());

    BIO* key_bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(key_bio, pkey.get(), nullptr, nullptr, 0, nullptr,
                             nullptr);
    key = TakeText(key_bio);
    BIO* cert_bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(cert_bio, x509.get());
    cert = TakeText(cert_bio);
    cert_file = directory.path() + "/cert.pem";
    key_file = directory.path() + "/key.pem";
    REQUIRE(base::WriteFileAtomically(cert_file, cert).ok());
    REQUIRE(base::WriteFileAtomically(key_file, key).ok());
  }

  base::TemporaryDirectory directory;
  std::string cert;
  std::string key;
  std::string cert_file;
  std::string key_file;
};

}  // namespace narthex::http
