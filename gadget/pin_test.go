// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// withPins runs a function that sees a bpf file system of its own.
func withPins(t *testing.T, f func()) {
	t.Helper()
	kerneltest.RequireRoot(t)
	inPrivateMounts(t, func() {
		if err := unix.Mount("bpf", pinFolder, "bpf", 0, ""); err != nil {
			t.Error(err)
			return
		}
		f()
	})
}

// countKept runs the fixture "pinned" once and returns the count from before this run's call.
func countKept(t *testing.T, o LoadOptions) uint64 {
	t.Helper()
	img := parse(t, "pinned")
	o.Params = watching(t, img)
	g, err := Load(img, &o)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer g.Close()
	if err := g.Attach(); err != nil {
		t.Error(err)
		return 0
	}
	_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, 1<<29, 0, 0)
	rows := drain(t, g.Sources()[0]).rows
	if len(rows) != 1 {
		t.Errorf("%d events", len(rows))
		return 0
	}
	return binary.LittleEndian.Uint64(rows[0])
}

func pinned(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(pinFolder)
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".debug") { // the kernel's own
			names = append(names, e.Name())
		}
	}
	return names
}

// A pinned map outlives the gadget, and the next run continues to use it.
func TestPinnedMaps(t *testing.T) {
	withPins(t, func() {
		if got := countKept(t, LoadOptions{}); got != 1 {
			t.Errorf("the first run counted %d", got)
		}
		if got, want := pinned(t), []string{"also_kept", "kept"}; !slices.Equal(got, want) {
			t.Errorf("pinned %q, want %q", got, want)
		}
		if got := countKept(t, LoadOptions{}); got != 2 {
			t.Errorf("the second run counted %d", got)
		}
		if err := os.Remove(pinFolder + "/kept"); err != nil {
			t.Error(err)
		}
		if got := countKept(t, LoadOptions{}); got != 1 {
			t.Errorf("after its end was wanted, the next run counted %d", got)
		}
	})
}

// A pinned map that differs is an error, and stays unchanged.
func TestPinnedMapThatDiffers(t *testing.T) {
	withPins(t, func() {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 99})
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Close()
		if err := m.Pin(pinFolder + "/kept"); err != nil {
			t.Error(err)
			return
		}
		img := parse(t, "pinned")
		mustSay(t, refusal(t, img, LoadOptions{}), `map "kept": another map is pinned as /sys/fs/bpf/kept; if nothing needs it any more, remove that file: `, "99")
		if got, want := pinned(t), []string{"kept"}; !slices.Equal(got, want) {
			t.Errorf("pinned %q, want %q", got, want)
		}
		if err := os.Remove(pinFolder + "/kept"); err != nil {
			t.Error(err)
		}
		if err := os.Mkdir(pinFolder+"/kept", 0o700); err != nil {
			t.Error(err)
		}
		mustSay(t, refusal(t, img, LoadOptions{}), `map "kept": open the map pinned as /sys/fs/bpf/kept: `)
	})
}

// Loading that fails pins nothing.
func TestFailurePinsNothing(t *testing.T) {
	withPins(t, func() {
		img := parse(t, "pinned")
		cut := func(spec *ebpf.CollectionSpec) {
			p := spec.Programs["on_call"]
			p.Instructions = p.Instructions[:1] // the verifier wants more
		}
		if _, err := Load(img, &LoadOptions{edit: cut}); err == nil {
			t.Error("no error")
		}
		if got := pinned(t); len(got) > 0 {
			t.Errorf("pinned %q", got)
		}
		// The last map cannot be pinned, so those before it are not pinned either.
		p := pins{fresh: []string{"also_kept", "kept"}}
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Close()
		other, err := m.Clone()
		if err != nil {
			t.Error(err)
			return
		}
		defer other.Close()
		if err := m.Pin(pinFolder + "/kept"); err != nil {
			t.Error(err)
		}
		third, err := m.Clone()
		if err != nil {
			t.Error(err)
			return
		}
		defer third.Close()
		err = p.pin(map[string]*ebpf.Map{"also_kept": other, "kept": third})
		mustSay(t, err, `map "kept": pin it as /sys/fs/bpf/kept: another run pinned a map there at the same moment`)
		if got, want := pinned(t), []string{"kept"}; !slices.Equal(got, want) {
			t.Errorf("pinned %q, want %q", got, want)
		}
	})
}

func TestPinnedMapWithoutFileSystem(t *testing.T) {
	kerneltest.RequireRoot(t)
	inPrivateMounts(t, func() {
		if err := unix.Mount("tmpfs", pinFolder, "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}
		mustSay(t, refusal(t, parse(t, "pinned"), LoadOptions{}),
			`map "also_kept": it must be pinned, but there is no bpf file system: mount -t bpf bpf /sys/fs/bpf`)
	})
}

// Try pins no maps, and keeps existing pins.
func TestTryPinsNothing(t *testing.T) {
	withPins(t, func() {
		img := parse(t, "pinned")
		if err := Try(img, nil); err != nil || len(pinned(t)) != 0 {
			t.Errorf("pinned %q: %v", pinned(t), err)
		}
		countKept(t, LoadOptions{})
		if err := Try(img, nil); err != nil || len(pinned(t)) != 2 {
			t.Errorf("pinned %q: %v", pinned(t), err)
		}
	})
}
