#include "libs/discovery/aws_credentials.h"

#include <cstdlib>
#include <limits>
#include <map>
#include <pugixml.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/json.h"

namespace narthex::discovery {
namespace {

constexpr char kMetadataUrl[] = "http://169.254.169.254";
constexpr char kContainerUrl[] = "http://169.254.170.2";
constexpr std::int64_t kMetadataTimeoutMs = 5'000;
constexpr std::int64_t kMarginSeconds = 300;
constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string HomeFile(const char* variable, const char* name) {
  const std::string path = Environment(variable);
  return path.empty() ? absl::StrCat(Environment("HOME"), "/.aws/", name)
                      : path;
}

/// The keys of one section of an INI file; none when it is not there.
std::map<std::string, std::string> Section(const std::string& path,
                                           const std::string& wanted) {
  std::map<std::string, std::string> out;
  const auto content = base::ReadFile(path);
  if (!content.ok()) return out;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(*content, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      inside = line == absl::StrCat("[", wanted, "]");
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (!inside) continue;
    out.emplace(absl::StripAsciiWhitespace(field.first),
                absl::StripAsciiWhitespace(field.second));
  }
  return out;
}

/// Both files of a profile; what ~/.aws/credentials says goes.
std::map<std::string, std::string> ProfileFields(const std::string& profile) {
  auto out =
      Section(HomeFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile);
  out.merge(Section(
      HomeFile("AWS_CONFIG_FILE", "config"),
      profile == "default" ? profile : absl::StrCat("profile ", profile)));
  return out;
}

std::int64_t ParseTime(const std::string& text) {
  absl::Time time;
  std::string ignored;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &ignored)) return 0;
  return absl::ToUnixSeconds(time);
}

void AddField(absl::string_view name, absl::string_view value,
              std::string* form) {
  absl::StrAppend(form, form->empty() ? "" : "&", name, "=",
                  base::EscapeUrlQuery(value));
}

std::string SessionName() {
  const std::string name = Environment("AWS_ROLE_SESSION_NAME");
  return name.empty() ? "narthex" : name;
}

}  // namespace

std::string AwsAccount::Profile() const {
  if (!options_.profile.empty()) return options_.profile;
  const std::string name = Environment("AWS_PROFILE");
  return name.empty() ? "default" : name;
}

absl::StatusOr<std::string> AwsAccount::Region(Fetcher& fetcher) {
  if (!region_.empty()) return region_;
  region_ = options_.region;
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (region_.empty()) region_ = Environment(variable);
  }
  if (region_.empty()) region_ = ProfileFields(Profile())["region"];
  if (!region_.empty()) return region_;
  auto answer = GetMetadata(fetcher, "/latest/meta-data/placement/region");
  if (!answer.ok()) {
    return base::Annotate(answer.status(),
                          "could not determine AWS region: get region from "
                          "the instance metadata service");
  }
  region_ = std::string(absl::StripAsciiWhitespace(*answer));
  return region_;
}

absl::StatusOr<AwsCredentials> AwsAccount::Credentials(
    Fetcher& fetcher, std::int64_t now_seconds) {
  if (now_seconds < expires_seconds_ - kMarginSeconds) return credentials_;
  NARTHEX_ASSIGN_OR_RETURN(Lease lease, Find(fetcher, now_seconds));
  if (!options_.role_arn.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(
        lease, AssumeRole(fetcher, lease.credentials, now_seconds));
  }
  credentials_ = std::move(lease.credentials);
  expires_seconds_ =
      lease.expires_seconds == 0 ? kForEver : lease.expires_seconds;
  return credentials_;
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::Find(Fetcher& fetcher,
                                                   std::int64_t now_seconds) {
  if (!options_.access_key.empty() && !options_.secret_key.empty()) {
    return Lease{{options_.access_key, options_.secret_key, ""}, 0};
  }
  const std::string access_key = Environment("AWS_ACCESS_KEY_ID");
  if (!access_key.empty() && options_.profile.empty()) {
    return Lease{{access_key, Environment("AWS_SECRET_ACCESS_KEY"),
                  Environment("AWS_SESSION_TOKEN")},
                 0};
  }
  auto profile = ProfileFields(Profile());
  if (!options_.profile.empty() && profile.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "failed to get shared config profile, ", options_.profile));
  }
  if (!profile["aws_access_key_id"].empty()) {
    // Files may change: looked at again every hour.
    return Lease{
        {profile["aws_access_key_id"], profile["aws_secret_access_key"],
         profile["aws_session_token"]},
        now_seconds + 3600};
  }
  const std::string token_file = Environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (!token_file.empty()) {
    return FromWebIdentity(fetcher, token_file, Environment("AWS_ROLE_ARN"));
  }
  const std::string relative =
      Environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) {
    return FromContainer(fetcher, absl::StrCat(kContainerUrl, relative));
  }
  const std::string full = Environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!full.empty()) return FromContainer(fetcher, full);
  return FromMetadata(fetcher);
}

absl::StatusOr<std::string> AwsAccount::GetMetadata(Fetcher& fetcher,
                                                    const std::string& path) {
  std::string base = options_.metadata_endpoint;
  if (base.empty()) base = Environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = kMetadataUrl;
  http::FetchRequest request;
  request.url = base + "/latest/api/token";
  request.method = "PUT";
  request.timeout_ms = kMetadataTimeoutMs;
  request.headers.Set("X-aws-ec2-metadata-token-ttl-seconds", "300");
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer token, fetcher.Fetch(request));
  request.url = base + path;
  request.method = "GET";
  request.headers = http::Headers();
  // An old service knows no tokens.
  if (token.code == 200) {
    request.headers.Set("X-aws-ec2-metadata-token", token.body);
  }
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code != 200) {
    return absl::UnavailableError(absl::StrCat("instance metadata ", path, ": ",
                                               StatusLine(answer.code)));
  }
  return answer.body;
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::FromMetadata(Fetcher& fetcher) {
  constexpr char kPath[] = "/latest/meta-data/iam/security-credentials/";
  const auto find = [&]() -> absl::StatusOr<std::string> {
    NARTHEX_ASSIGN_OR_RETURN(const std::string roles,
                             GetMetadata(fetcher, kPath));
    const std::vector<std::string> lines = absl::StrSplit(roles, '\n');
    return GetMetadata(
        fetcher,
        absl::StrCat(kPath, absl::StripAsciiWhitespace(lines.front())));
  };
  const auto answer = find();
  if (!answer.ok()) {
    return base::Annotate(answer.status(),
                          "no AWS credentials in configuration, environment "
                          "or profile, nor from the instance's role");
  }
  NARTHEX_ASSIGN_OR_RETURN(const Json json, ParseJson(*answer));
  return Lease{{Text(json, "AccessKeyId"), Text(json, "SecretAccessKey"),
                Text(json, "Token")},
               ParseTime(Text(json, "Expiration"))};
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::FromContainer(
    Fetcher& fetcher, const std::string& url) {
  http::Headers headers;
  std::string token = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  const std::string file =
      Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (!file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(token, base::ReadFile(file));
  }
  if (!token.empty()) {
    headers.Set("Authorization", absl::StripAsciiWhitespace(token));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::string body, fetcher.Get(url, headers));
  NARTHEX_ASSIGN_OR_RETURN(const Json json, ParseJson(body));
  return Lease{{Text(json, "AccessKeyId"), Text(json, "SecretAccessKey"),
                Text(json, "Token")},
               ParseTime(Text(json, "Expiration"))};
}

std::string AwsAccount::StsUrl() const {
  if (!options_.sts_endpoint.empty()) return options_.sts_endpoint + "/";
  const std::string endpoint = Environment("AWS_ENDPOINT_URL_STS");
  if (!endpoint.empty()) return endpoint + "/";
  return absl::StrCat("https://sts.", region_, ".amazonaws.com",
                      absl::StartsWith(region_, "cn-") ? ".cn/" : "/");
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::AskSts(Fetcher& fetcher,
                                                     http::FetchRequest request,
                                                     const std::string& what) {
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  pugi::xml_document xml;
  xml.load_string(answer.body.c_str());
  if (answer.code != 200) {
    const auto error = xml.child("ErrorResponse").child("Error");
    return absl::UnavailableError(
        absl::StrCat(what, ": ", StatusLine(answer.code), ": ",
                     error.child("Code").text().get(), ": ",
                     error.child("Message").text().get()));
  }
  const auto credentials = xml.child((what + "Response").c_str())
                               .child((what + "Result").c_str())
                               .child("Credentials");
  const auto text = [&](const char* name) {
    return std::string(credentials.child(name).text().get());
  };
  if (text("AccessKeyId").empty()) {
    return absl::UnavailableError(
        absl::StrCat(what, ": the answer has no credentials"));
  }
  return Lease{
      {text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken")},
      ParseTime(text("Expiration"))};
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::AssumeRole(
    Fetcher& fetcher, const AwsCredentials& source, std::int64_t now_seconds) {
  NARTHEX_RETURN_IF_ERROR(Region(fetcher));
  http::FetchRequest request;
  request.url = StsUrl();
  request.method = "POST";
  request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
  AddField("Action", "AssumeRole", &request.body);
  AddField("Version", "2011-06-15", &request.body);
  AddField("RoleArn", options_.role_arn, &request.body);
  AddField("RoleSessionName", SessionName(), &request.body);
  AddField("DurationSeconds", "900", &request.body);
  if (!options_.external_id.empty()) {
    AddField("ExternalId", options_.external_id, &request.body);
  }
  SignForAws(source, region_, "sts", now_seconds, &request);
  return AskSts(fetcher, std::move(request), "AssumeRole");
}

absl::StatusOr<AwsAccount::Lease> AwsAccount::FromWebIdentity(
    Fetcher& fetcher, const std::string& token_file,
    const std::string& role_arn) {
  NARTHEX_RETURN_IF_ERROR(Region(fetcher));
  NARTHEX_ASSIGN_OR_RETURN(const std::string token, base::ReadFile(token_file));
  http::FetchRequest request;
  request.url = StsUrl();
  request.method = "POST";
  request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
  AddField("Action", "AssumeRoleWithWebIdentity", &request.body);
  AddField("Version", "2011-06-15", &request.body);
  AddField("RoleArn", role_arn, &request.body);
  AddField("RoleSessionName", SessionName(), &request.body);
  AddField("WebIdentityToken", absl::StripAsciiWhitespace(token),
           &request.body);
  return AskSts(fetcher, std::move(request), "AssumeRoleWithWebIdentity");
}

}  // namespace narthex::discovery
