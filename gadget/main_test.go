// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// TestMain has more jobs: tests start it as a process with few privileges, or with many threads, and it
// fails if the tests leave something in the kernel.
func TestMain(m *testing.M) {
	if os.Getenv(threadsEnv) != "" {
		os.Exit(serveThreads())
	}
	if os.Getenv(unprivilegedEnv) != "" {
		os.Exit(loadUnprivileged())
	}
	code := m.Run()
	if left := kernelFDs(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "the tests left open:", left)
		code = 1
	}
	os.Exit(code)
}

// kernelFDs lists this process's descriptors of things that gadgets have in the kernel.
func kernelFDs() []string {
	var found []string
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		to, err := os.Readlink(link)
		if err == nil && (strings.Contains(to, "bpf") || strings.Contains(to, "perf_event")) {
			found = append(found, to)
		}
	}
	slices.Sort(found)
	return found
}

// parse analyses testdata/NAME without metadata.
func parse(t testing.TB, name string) *image.Image {
	t.Helper()
	return parseWith(t, name, "")
}

// parseWith analyses testdata/NAME with the text of a gadget.yaml.
func parseWith(t testing.TB, name, yaml string) *image.Image {
	t.Helper()
	img, err := parseObject(fixture.Compile(t, name).Object, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func parseObject(object []byte, yaml string) (*image.Image, error) {
	if yaml == "" {
		return image.Parse(bytes.NewReader(object), nil)
	}
	meta, err := metadata.Parse("gadget.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	return image.Parse(bytes.NewReader(object), meta)
}
