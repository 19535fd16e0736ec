// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import "strings"

// pendingFeature is one row of a table: an annotation of a feature that gizmo does not have yet, or, with a dot at its end, how the names of several begin.
type pendingFeature struct{ name, feature string }

// pendingFeatures lists annotations that existing gadgets use. Their names are known; gizmo keeps them,
// but they have no effect. Remove a row when gizmo gets the feature.
func pendingFeatures() []pendingFeature {
	return []pendingFeature{
		{"cli.raw.", "raw output"},
		{"kubenameresolver.", "names of Kubernetes services"},
		{"views.", "views"},
	}
}

// Pending returns the feature that an annotation belongs to, if gizmo does not have that feature yet.
func Pending(key string) (feature string, ok bool) {
	for _, f := range pendingFeatures() {
		if key == f.name || strings.HasPrefix(key, f.name) && strings.HasSuffix(f.name, ".") {
			return f.feature, true
		}
	}
	return "", false
}

// Canonical returns an annotation's key in the spelling of the table: authors also write
// "columns.maxWidth". Other keys are returned as they are.
func Canonical[T any](keys []Key[T], name string) string {
	for i := range keys {
		if strings.EqualFold(keys[i].Name, name) {
			return keys[i].Name
		}
	}
	return name
}
