#include "services/querier/app.h"

int main(int argc, char** argv) {
  narthex::querier::QuerierApp app;
  return narthex::service::Main(narthex::querier::kIdentity, app, argc, argv);
}
