// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package modules

import (
	"fmt"
	"slices"
	"strings"
)

// Allowed are the licenses that a module may have.
func Allowed() []string {
	return []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}
}

// CheckLicenses returns a sentence for each module whose license is not allowed or not known.
func CheckLicenses(all []Module, allowed []string) []string {
	var wrong []string
	for _, m := range all {
		ids, err := Licenses(m.Dir)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s %s: %v", m.Path, m.Version, err))
			continue
		}
		for _, id := range ids {
			if !slices.Contains(allowed, id) {
				wrong = append(wrong, fmt.Sprintf("%s %s has the license %s; allowed are %s", m.Path, m.Version, id, strings.Join(allowed, ", ")))
			}
		}
	}
	return wrong
}
