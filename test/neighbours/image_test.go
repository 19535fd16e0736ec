// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// imageName is the name of the image that all containers are made of.
const imageName = "localhost/gizmo/busy:1"

// The command of the image opens a file that does not exist, sleeps for a limited time, so that the containers of a killed test
// end, and opens another one as the last that it does.
const (
	firstFile = "/first"
	lastFile  = "/last"
	script    = "true <" + firstFile + "; /bin/busybox sleep 600; true <" + lastFile
)

// image returns an image in the form of "docker save": one layer with a static busybox.
func image(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile(kerneltest.RequireProgram(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	layer := archive(t, []file{{"bin/busybox", busybox}})
	config := text(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Cmd": []string{"/bin/busybox", "sh", "-c", script}, "Labels": map[string]string{"of-image": "yes"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	manifest := text(t, []any{map[string]any{"Config": "config.json", "RepoTags": []string{imageName}, "Layers": []string{"layer.tar"}}})
	return archive(t, []file{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}})
}

func text(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type file struct {
	name    string
	content []byte
}

// archive returns a tar archive of programs.
func archive(t testing.TB, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
