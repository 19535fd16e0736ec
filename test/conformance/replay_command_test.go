// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/cli"
)

// The command writes the same as the packages that it uses: the recording contains everything
// that the tests know about the machine.
func TestReplayCommand(t *testing.T) {
	for _, format := range []string{"json", "jsonpretty", "yaml", "none"} {
		var want string
		for _, source := range []string{"all", "tail"} {
			want += replayed(t, source).compose(t, specOf(t, source), machine()).encode(t, format, noOptions)
		}
		var out, errs bytes.Buffer
		if code := cli.Main([]string{"replay", recording, "-o", format}, cli.Streams{In: new(bytes.Buffer), Out: &out, Err: &errs}); code != 0 {
			t.Errorf("-o %s: exit code %d: %s", format, code, &errs)
		}
		if errs.Len() > 0 {
			t.Errorf("-o %s: unexpected on standard error: %s", format, &errs)
		}
		wantSame(t, "-o "+format, out.String(), want)
	}
}
