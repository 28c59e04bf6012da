#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/aws_credentials.h"
#include "libs/discovery/json.h"
#include "libs/discovery/polled_api.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

/// What the mechanisms that ask services of AWS have in common.
namespace narthex::discovery {

struct AwsApiConfig : PolledApiConfig {
  /// Empty: AWS's own for the service and the region.
  std::string endpoint;
  /// Empty: found out at the first refresh.
  std::string region;
  std::string access_key;
  std::string secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;

  friend bool operator==(const AwsApiConfig&, const AwsApiConfig&) = default;
};

/// Takes the fields in a map that has more of them.
void DecodeAwsApi(yaml::Decoder& d, AwsApiConfig* config);
/// Prints the keys, the profile and the role.
void EmitAwsCredentials(const AwsApiConfig& config, yaml::Emitter* out);
/// Prints what DecodeAwsApi() takes, but for the fields of the client.
void EmitAwsApi(const AwsApiConfig& config, yaml::Emitter* out);

/// Which resources to ask for, in the words of the service.
struct AwsFilter {
  std::string name;
  std::vector<std::string> values;
  friend bool operator==(const AwsFilter&, const AwsFilter&) = default;
};
absl::Status Decode(const yaml::Node& node, AwsFilter* filter);
void EmitAwsFilters(const std::vector<AwsFilter>& filters, yaml::Emitter* out);

/// The mechanisms that ask for clusters, several at once.
struct AwsClustersConfig : AwsApiConfig {
  /// Their names (ARNs); empty for all.
  std::vector<std::string> clusters;
  int request_concurrency = 10;

  friend bool operator==(const AwsClustersConfig&,
                         const AwsClustersConfig&) = default;
};
void DecodeAwsClusters(yaml::Decoder& d, AwsClustersConfig* config);
/// Prints the fields up to the last but those of the client, with `filters`
/// among them when not null.
void EmitAwsClusters(const AwsClustersConfig& config,
                     const std::vector<AwsFilter>* filters, yaml::Emitter* out);

/// One service of AWS: signs requests and reads why they are refused. Used by
/// one thread.
class AwsApi {
 public:
  struct Options {
    /// As in the host's name and in signatures: "ec2".
    std::string service = {};
    /// Of the query protocol: "2016-11-15".
    std::string version = {};
    /// Where STS and instance metadata are, for tests; empty for the real ones.
    std::string sts_endpoint = {};
    std::string metadata_endpoint = {};
  };
  AwsApi(const AwsApiConfig& config, Options options);

  /// kUnavailable "could not determine AWS region: ...".
  absl::StatusOr<std::string> Region(Fetcher& fetcher) {
    return account_.Region(fetcher);
  }

  /// The query protocol: a form is posted, XML comes back. `params` is as
  /// "&Name=value".
  absl::StatusOr<std::string> Query(Fetcher& fetcher, const std::string& action,
                                    const std::string& params);
  /// The JSON protocol: `target` is as "Lightsail_20161128.GetInstances". The
  /// answers are in the order of the bodies, asked for `at_once` at a time.
  absl::StatusOr<std::vector<Json>> CallAll(Fetcher& fetcher,
                                            const std::string& target,
                                            const std::vector<Json>& bodies,
                                            int at_once);
  absl::StatusOr<Json> Call(Fetcher& fetcher, const std::string& target,
                            const Json& body);
  /// The REST protocol: gets paths, with or without a query.
  absl::StatusOr<std::vector<Json>> GetAll(
      Fetcher& fetcher, const std::vector<std::string>& paths, int at_once);
  absl::StatusOr<Json> Get(Fetcher& fetcher, const std::string& path);

 private:
  std::string Url(const std::string& region) const;
  absl::StatusOr<std::vector<std::string>> Send(
      Fetcher& fetcher, std::vector<http::FetchRequest> requests, int at_once);
  absl::Status Refusal(const std::string& what, const Fetcher::Answer& answer);

  const std::string endpoint_;
  const Options options_;
  AwsAccount account_;
};

/// Adds a field to a form of the query protocol.
void AddAwsParam(absl::string_view name, absl::string_view value,
                 std::string* form);
/// Adds them as Filter.1.Name, Filter.1.<value_name>.1, ...
void AddAwsFilters(const std::vector<AwsFilter>& filters,
                   absl::string_view list_name, absl::string_view value_name,
                   std::string* form);

}  // namespace narthex::discovery
