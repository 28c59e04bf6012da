#include "services/scraper/app.h"

int main(int argc, char** argv) {
  narthex::scraper::ScraperApp app;
  return narthex::service::Main(narthex::scraper::kIdentity, app, argc, argv);
}
