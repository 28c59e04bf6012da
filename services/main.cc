#include <algorithm>
#include <array>
#include <iostream>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "libs/service/process.h"
#include "services/alertmanager/app.h"
#include "services/ingester/app.h"
#include "services/pushgateway/app.h"
#include "services/querier/app.h"
#include "services/ruler/app.h"
#include "services/scraper/app.h"

namespace narthex {
namespace {

template <typename App>
int Run(const service::Identity& identity, int argc, char** argv) {
  App app;
  return service::Main(identity, app, argc, argv);
}

struct Service {
  absl::string_view name;
  int (*run)(int argc, char** argv);
};

constexpr std::array<Service, 6> kServices = {{
    {"alertmanager",
     [](int argc, char** argv) {
       return Run<alertmanager::AlertmanagerApp>(
           alertmanager::AlertmanagerIdentity(), argc, argv);
     }},
    {"ingester",
     [](int argc, char** argv) {
       return Run<ingester::IngesterApp>(ingester::kIdentity, argc, argv);
     }},
    {"pushgateway",
     [](int argc, char** argv) {
       return Run<pushgateway::PushgatewayApp>(pushgateway::kIdentity, argc,
                                               argv);
     }},
    {"querier",
     [](int argc, char** argv) {
       return Run<querier::QuerierApp>(querier::kIdentity, argc, argv);
     }},
    {"ruler",
     [](int argc, char** argv) {
       return Run<ruler::RulerApp>(ruler::kIdentity, argc, argv);
     }},
    {"scraper",
     [](int argc, char** argv) {
       return Run<scraper::ScraperApp>(scraper::kIdentity, argc, argv);
     }},
}};

const Service* Find(absl::string_view name) {
  const auto* found = std::find_if(
      kServices.begin(), kServices.end(),
      [name](const Service& service) { return service.name == name; });
  return found == kServices.end() ? nullptr : found;
}

// The service that the program was called as: "narthex-ingester", with or
// without a directory before it.
const Service* CalledAs(absl::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  return absl::ConsumePrefix(&program, "narthex-") ? Find(program) : nullptr;
}

int Usage() {
  std::cerr << "usage: narthex SERVICE [FLAGS], or narthex-SERVICE [FLAGS]\n"
               "services:";
  for (const Service& service : kServices) std::cerr << ' ' << service.name;
  std::cerr << "\nflags: narthex SERVICE --help\n";
  return 2;
}

int Main(int argc, char** argv) {
  if (argc > 0) {
    const Service* service = CalledAs(argv[0]);
    if (service != nullptr) return service->run(argc, argv);
  }
  if (argc > 1) {
    const Service* service = Find(argv[1]);
    if (service != nullptr) return service->run(argc - 1, argv + 1);
  }
  return Usage();
}

}  // namespace
}  // namespace narthex

int main(int argc, char** argv) { return narthex::Main(argc, argv); }
