// SPDX-License-Identifier: GPL-2.0-only
#include "say/json.hh"

namespace kvmpv {

nlohmann::json json_of(const Number& number) {
    return number ? nlohmann::json(*number) : nlohmann::json(nullptr);
}

nlohmann::json json_of(const Event& event) {
    return {{"seq", event.seq},          {"time_ns", event.time_ns},      {"event", event.name},
            {"cpu", json_of(event.cpu)}, {"value", json_of(event.value)}, {"unit", event.unit}};
}

}  // namespace kvmpv
