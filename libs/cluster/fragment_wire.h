#pragma once

#include "libs/promql/fragment.h"

namespace narthex::v1 {
class EvaluateRequest;
class EvaluateResponse;
class EvaluateStats;
}  // namespace narthex::v1

namespace narthex::cluster {

/// The conversions between fragments and the messages that carry them. The
/// request's members are not among them.
void ToWire(const promql::Fragment& fragment, v1::EvaluateRequest* out);
promql::Fragment FromWire(const v1::EvaluateRequest& request);

/// What is said after the columns.
void ToWire(const promql::FragmentReply& reply, v1::EvaluateResponse* out);
/// Adds what `response` says beside its columns.
void AddTo(const v1::EvaluateResponse& response, promql::FragmentReply* reply);

}  // namespace narthex::cluster
