// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The first packets of a container that starts while gizmo has few capabilities and system calls left are shown, with its name.
func TestPacketsOfAContainer(t *testing.T) {
	b := bundles{newBed(t, "runc", "busybox")}
	id := fmt.Sprintf("sending-%d", os.Getpid())
	b.makeFor(t, id, []string{"/busybox", "sh", "-c", "/busybox nslookup wild.example 127.0.0.1:4321; exec /busybox sleep 600"}, "pid", "mount", "network")
	defer func() { _ = exec.Command("runc", "--root", b.path("state"), "delete", "--force", id).Run() }()
	g := startGizmo(t, "run", "../../run/testdata/taps", "-o", "json", "-v", "--runtimes=runc", "--runc-root="+b.path("state"))
	b.start(t, id)
	eventually(t, "packets are shown", func() error {
		if !strings.Contains(g.out.text(), "\n") {
			return fmt.Errorf("standard error: %s", g.err.text())
		}
		return nil
	})
	first, _, _ := strings.Cut(g.out.text(), "\n")
	var got struct {
		Place, Size int
		Runtime     map[string]any
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	const question = 12 + len("\x04wild\x07example\x00") + 4
	if got.Place != 0 || got.Size != question || got.Runtime["containerName"] != "name-of-"+id {
		t.Errorf("got %+v, want a question of %d bytes; gizmo says: %s", got, question, g.err.text())
	}
}
