#include <iostream>
#include <string>
#include <vector>

#include "services/ctl/commands.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return narthex::ctl::RunCommand(narthex::ctl::AllCommands(), arguments,
                                  std::cout, std::cerr);
}
