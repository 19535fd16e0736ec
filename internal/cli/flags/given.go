// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

// Given returns the values of the flags that the user set, by the keys of values. An empty value counts as not set.
func Given(values map[string]*string) map[string]string {
	given := make(map[string]string)
	for key, value := range values {
		if *value != "" {
			given[key] = *value
		}
	}
	return given
}
