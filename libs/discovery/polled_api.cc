#include "libs/discovery/polled_api.h"

#include <utility>

namespace narthex::discovery {

void DecodePolledApi(yaml::Decoder& d, PolledApiConfig* config) {
  http::DecodeClientConfig(d, &config->client);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("port", &config->port);
}

void EmitPolledApi(const PolledApiConfig& config, yaml::Emitter* out) {
  http::EmitClientConfig(config.client, out);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("port", std::int64_t{config.port});
}

void SetDirectory(const std::string& directory, PolledApiConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> PollApi(const std::string& mechanism,
                                  const PolledApiConfig& config,
                                  const ProviderContext& context,
                                  RefreshProvider::Refresh refresh) {
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = mechanism,
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, std::move(refresh));
}

}  // namespace narthex::discovery
