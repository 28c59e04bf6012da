#include "libs/discovery/oci.h"

#include <cstdlib>

#include "absl/strings/match.h"
#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"
#include "libs/http/self_signed.h"

namespace narthex::discovery {
namespace {

/// The services of a region at one address.
class FakeOci {
 public:
  FakeOci() {
    server.Handle("/20160918/compartments", [](const http::Request& request,
                                               http::Response& response) {
      const auto parent = request.params.Get("compartmentId");
      if (parent == "forbidden") {
        response.Send(404, "application/json", "{}");
        return;
      }
      response.Send(200, "application/json",
                    parent == "ten"
                        ? R"([{"id": "com", "lifecycleState": "ACTIVE"},
                             {"id": "old", "lifecycleState": "DELETED"},
                             {"id": "forbidden", "lifecycleState": "ACTIVE"}])"
                        : "[]");
    });
    server.Handle("/20160918/instances/", [](const http::Request& request,
                                             http::Response& response) {
      if (request.params.Get("compartmentId") != "com") {
        response.Send(200, "application/json", "[]");
      } else if (!request.params.Has("page")) {
        response.headers().Set("opc-next-page", "2");
        response.Send(200, "application/json", kInstance);
      } else {
        response.Send(200, "application/json",
                      R"([{"id": "i2", "compartmentId": "com"}])");
      }
    });
    server.Handle("/20160918/vnicAttachments/", [](const http::Request& request,
                                                   http::Response& response) {
      response.Send(200, "application/json",
                    request.params.Get("instanceId") == "i1"
                        ? R"([{"vnicId": "v0", "lifecycleState": "DETACHED"},
                             {"vnicId": "v2", "lifecycleState": "ATTACHED"},
                             {"vnicId": "v1", "lifecycleState": "ATTACHED"}])"
                        : "[]");
    });
    server.Answer("/20160918/vnics/v1",
                  R"({"id": "v1", "isPrimary": true, "privateIp": "10.0.0.1",
                      "publicIp": "1.2.3.4", "hostnameLabel": "h",
                      "ipv6Addresses": ["2001:db8::2", "2001:db8::1"]})");
    server.Answer("/20160918/vnics/v2", R"({"id": "v2", "isPrimary": false})");
  }

  static constexpr char kInstance[] = R"([{"id": "i1", "displayName": "n",
      "compartmentId": "com", "lifecycleState": "RUNNING", "shape": "A1",
      "availabilityDomain": "AD-1", "faultDomain": "FD-1", "region": "iad",
      "imageId": "img", "freeformTags": {"a b": "v"},
      "definedTags": {"ops": {"on": true, "n": 2, "f": 1.5, "s": "t",
                              "l": []}}}])";

  std::string Wanted() const {
    return Printed("10.0.0.1:9100", "__meta_oci_",
                   {{"availability_domain", "AD-1"},
                    {"compartment_id", "com"},
                    {"defined_tag_ops_f", "1.5"},
                    {"defined_tag_ops_n", "2"},
                    {"defined_tag_ops_on", "true"},
                    {"defined_tag_ops_s", "t"},
                    {"fault_domain", "FD-1"},
                    {"hostname_label", "h"},
                    {"image_id", "img"},
                    {"instance_id", "i1"},
                    {"instance_name", "n"},
                    {"instance_shape", "A1"},
                    {"instance_state", "RUNNING"},
                    {"ipv6_addresses", ",2001:db8::1,2001:db8::2,"},
                    {"private_ip", "10.0.0.1"},
                    {"public_ip", "1.2.3.4"},
                    {"region", "iad"},
                    {"tag_a_b", "v"},
                    {"tenancy_id", "ten"},
                    {"vnic_id", "v1"}});
  }

  ProviderServer server;
};

TEST_CASE("oracle's instances are found with a user's key") {
  FakeOci oci;
  const http::SelfSigned identity;
  const base::TemporaryDirectory directory;
  REQUIRE(
      base::WriteFileAtomically(directory.path() + "/key", identity.key).ok());
  auto config = ParseConfig<OciConfig>(
      "{tenancy: ten, user: u, fingerprint: 'aa:bb', key_file: key, "
      "region: us-ashburn-1, port: 9100, refresh_interval: 10ms}");
  config.endpoint = oci.server.Url("");
  SetDirectory(directory.path(), &config);
  const auto run = RunProvider(config);
  CHECK(run->WaitFor(oci.Wanted()));
  CHECK(run->sources() == std::set<std::string>{"OCI"});
  CHECK_THAT(
      std::string(
          oci.server.LastHeaders("/20160918/vnics/v1").Get("Authorization")),
      Catch::StartsWith(
          "Signature version=\"1\",headers=\"date (request-target) host\","
          "keyId=\"ten/u/aa:bb\",algorithm=\"rsa-sha256\",signature=\""));
  oci.server.Answer("/20160918/instances/", "{}", 429);
  CHECK(run->WaitForFailure("oci"));
  CHECK(run->WaitFor(oci.Wanted()));
}

/// The certificate with a subject that names the tenancy "ten".
std::string InstanceCertificate(const http::SelfSigned& identity) {
  BIO* cert = BIO_new_mem_buf(identity.cert.data(),
                              static_cast<int>(identity.cert.size()));
  BIO* pem = BIO_new_mem_buf(identity.key.data(),
                             static_cast<int>(identity.key.size()));
  X509* certificate = PEM_read_bio_X509(cert, nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(pem, nullptr, nullptr, nullptr);
  const std::string unit = "opc-tenant:ten";
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate), "OU", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(unit.c_str()), -1, -1, 0);
  X509_sign(certificate, key, EVP_sha256());
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  BIO_free(cert);
  BIO_free(pem);
  EVP_PKEY_free(key);
  X509_free(certificate);
  return http::TakeText(out);
}

TEST_CASE("oracle's instances are found as the instance that one is") {
  FakeOci oci;
  const http::SelfSigned identity;
  oci.server.Answer("/opc/identity/cert.pem", InstanceCertificate(identity));
  oci.server.Answer("/opc/identity/key.pem", identity.key);
  oci.server.Answer("/opc/identity/intermediate.pem", identity.cert);
  // Good until the year 2100, as its middle part says.
  oci.server.Answer("/v1/x509",
                    R"({"token": "e30.eyJleHAiOiA0MTAyNDQ0ODAwfQ.x"})");
  setenv("OCI_METADATA_BASE_URL", oci.server.Url("/opc").c_str(), 1);
  auto config = ParseConfig<OciConfig>(
      "{auth: instance_principal, region: r, port: 9100, "
      "refresh_interval: 10ms}");
  config.endpoint = oci.server.Url("");
  CHECK(RunProvider(config)->WaitFor(oci.Wanted()));
  unsetenv("OCI_METADATA_BASE_URL");
  CHECK(absl::StrContains(
      oci.server.LastHeaders("/20160918/vnics/v1").Get("Authorization"),
      "keyId=\"ST$e30.eyJleHAiOiA0MTAyNDQ0ODAwfQ.x\""));
  const http::Request login = oci.server.Last("/v1/x509");
  CHECK(absl::StrContains(login.headers.Get("Authorization"),
                          "keyId=\"ten/fed-x509-sha256/"));
  CHECK(absl::StrContains(login.body, "\"fingerprintAlgorithm\":\"SHA256\""));
  CHECK_FALSE(absl::StrContains(login.body, "BEGIN"));
}

TEST_CASE("oci configs are checked and printed") {
  const std::string good =
      "region: r, tenancy: t, user: u, fingerprint: f, key_file: k";
  CHECK(PrintedConfig(ParseConfig<OciConfig>(
            "{" + good + ", key_passphrase: p, compartments: [c]}")) ==
        "auth: api_key\ntenancy: t\nuser: u\nfingerprint: f\nkey_file: k\n"
        "key_passphrase: <secret>\nregion: r\ncompartments:\n- c\n"
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\n");
  const std::pair<std::string, const char*> rows[] = {
      {"{}", "oci_sd: region is required"},
      {"{region: r, auth: x}",
       "oci_sd: unknown auth method \"x\", expected "
       "\"api_key\" or \"instance_principal\""},
      {"{region: r}", "oci_sd: api_key auth requires tenancy"},
      {"{region: r, tenancy: t, user: u, fingerprint: f}",
       "oci_sd: api_key auth requires key_file"},
      {"{" + good + ", key_passphrase: p, key_passphrase_file: f}",
       "oci_sd: at most one of key_passphrase and key_passphrase_file must be "
       "configured"},
      {"{" + good + ", compartments: ['']}",
       "oci_sd: compartments[0] must not be empty"},
      {"{" + good + ", refresh_interval: 0s}",
       "oci_sd: refresh_interval must be positive"}};
  for (const auto& [text, error] : rows) {
    CHECK_THAT(ConfigError<OciConfig>(text), Catch::EndsWith(error));
  }
  CHECK_THAT(
      ConfigError<OciConfig>("{region: r, auth: instance_principal, user: u}"),
      Catch::Contains("instance_principal auth must not have tenancy"));
}

}  // namespace
}  // namespace narthex::discovery
