// SPDX-License-Identifier: GPL-2.0-only
#include "change/json.hh"

#include "say/json.hh"

namespace kvmpv {

nlohmann::json json_of(const Growth& growth) {
    return growth.is_known() ? nlohmann::json(growth.by) : nlohmann::json(nullptr);
}

nlohmann::json json_of(const std::vector<Loss>& losses) {
    nlohmann::json rows = nlohmann::json::array();
    for (const Loss& loss : losses)
        rows.push_back({{"what", loss.what},
                        {"id", json_of(loss.id)},
                        {"name", loss.name},
                        {"stolen_ns", loss.ns}});
    return rows;
}

}  // namespace kvmpv
