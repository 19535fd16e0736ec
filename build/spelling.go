// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import "regexp"

var (
	memberProtoRaw = regexp.MustCompile(`(\.|->)\s*proto_raw\b`)
	memberProto    = regexp.MustCompile(`(\.|->)\s*proto\b`)
)

// spelling returns the flags that choose between two names for one member of the headers. A source that
// calls the protocol of an endpoint proto_raw, and never proto, was written for a loader that adds a field proto with the
// protocol's name.
func spelling(program []byte) []string {
	if memberProtoRaw.Match(program) && !memberProto.Match(program) {
		return []string{"-DGADGET_PROTO_RAW"}
	}
	return nil
}
