#pragma once

#include <string>
#include <vector>

#include "libs/service/process.h"
#include "services/pushgateway/store.h"

namespace narthex::pushgateway {

/// The page for people: groups with their families and a button to delete
/// each, flags and build.
std::string StatusPage(const service::Process& process,
                       const std::vector<Store::Group>& groups);

}  // namespace narthex::pushgateway
