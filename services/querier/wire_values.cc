#include "services/querier/wire_values.h"

namespace narthex::querier {

model::Labels LabelsOf(const std::string& encoded) {
  model::Labels labels;
  if (!model::Labels::FromEncoded(encoded, &labels)) return {};
  return labels;
}

std::int64_t ToMs(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1000 + duration.nanos() / 1'000'000;
}

double ToSeconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) +
         static_cast<double>(duration.nanos()) / 1e9;
}

}  // namespace narthex::querier
