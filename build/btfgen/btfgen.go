// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package btfgen makes the types of kernels that a gadget needs, for kernels that have none of their own (CONFIG_DEBUG_INFO_BTF).
//
// The types of whole kernels come from an archive, such as BTFHub's: ID/VERSION_ID/ARCH/RELEASE.btf.tar.xz, where ID and VERSION_ID are those of
// /etc/os-release, ARCH is x86_64 or arm64, and RELEASE is what uname prints. bpftool keeps of them what the relocations of an object refer to.
package btfgen

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ulikunitz/xz"
	"golang.org/x/sync/errgroup"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// suffix is what the names of files in an archive end with.
const suffix = ".btf.tar.xz"

// maxTypes is how large the types of a kernel may be, in bytes. Those of Linux 6.18 have 6 MB.
const maxTypes = 64 << 20

// ErrNone is wrapped by the error about an archive that has nothing for an architecture.
var ErrNone = errors.New("no types of kernels")

// kernel is one of an archive.
type kernel struct {
	name  string // ID/VERSION_ID/ARCH/RELEASE
	types []byte // that the object needs
}

// Make returns a tar.gz with what an object needs of the types of each kernel of an architecture, by its Go name, that a folder has. The same kernels and object
// make the same bytes.
func Make(ctx context.Context, archive, arch string, object []byte) ([]byte, error) {
	bpftool, err := findTool()
	if err != nil {
		return nil, err
	}
	kernels, err := find(archive, arch)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "gizmo-btfgen-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, "program.o")
	if err := os.WriteFile(program, object, 0o600); err != nil {
		return nil, err
	}
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.NumCPU())
	for i := range kernels {
		workers.Go(func() error {
			k := &kernels[i]
			if err := k.shrink(ctx, bpftool, archive, program, filepath.Join(temp, fmt.Sprint(i))); err != nil {
				return fmt.Errorf("%s: %w", plain.Text(k.name+suffix), err)
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	return pack(kernels)
}

// findTool finds bpftool, which Debian installs where only root's PATH leads.
func findTool() (string, error) {
	name, err := exec.LookPath("bpftool")
	if err == nil {
		return name, nil
	}
	if name, err := exec.LookPath("/usr/sbin/bpftool"); err == nil {
		return name, nil
	}
	return "", fmt.Errorf("%w; it makes the types of kernels, and most distributions have it in a package of that name", err)
}

// folders are what archives call architectures.
var folders = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

// find lists the kernels of an archive for an architecture, in the order of their names.
func find(archive, arch string) (kernels []kernel, err error) {
	names, err := fs.Glob(os.DirFS(archive), path.Join("*", "*", folders[arch], "*"+suffix))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		kernels = append(kernels, kernel{name: strings.TrimSuffix(name, suffix)})
	}
	if kernels == nil {
		return nil, fmt.Errorf("%w for %s in %s: want files ID/VERSION_ID/%s/RELEASE%s", ErrNone, arch, plain.Text(archive), folders[arch], suffix)
	}
	return kernels, nil
}

// shrink sets the types that a program needs of those that the archive has of a kernel. It may use files whose names begin with temp.
func (k *kernel) shrink(ctx context.Context, bpftool, archive, program, temp string) error {
	whole, err := unpack(filepath.Join(archive, k.name+suffix))
	if err != nil {
		return err
	}
	in, out := temp+".whole", temp+".btf"
	if err := os.WriteFile(in, whole, 0o600); err != nil {
		return err
	}
	defer os.Remove(in)
	if text, err := exec.CommandContext(ctx, bpftool, "gen", "min_core_btf", in, out, program).CombinedOutput(); err != nil {
		return fmt.Errorf("bpftool gen min_core_btf: %w: %s", err, plain.Lines(strings.TrimSpace(string(text))))
	}
	defer os.Remove(out)
	k.types, err = os.ReadFile(out)
	return err
}

// unpack returns the file with types in a tar.xz.
func unpack(name string) ([]byte, error) {
	file, err := safefile.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := xz.NewReader(file)
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("it has no file whose name ends with .btf")
		case err != nil:
			return nil, err
		case path.Ext(header.Name) != ".btf":
			continue
		case header.Size > maxTypes:
			return nil, fmt.Errorf("%s has %d bytes; gizmo reads at most %d", plain.Text(header.Name), header.Size, maxTypes)
		}
		return io.ReadAll(files)
	}
}

// pack returns the layer of an image.
func pack(kernels []kernel) ([]byte, error) {
	var layer bytes.Buffer
	zipped := gzip.NewWriter(&layer)
	files := tar.NewWriter(zipped)
	for i := range kernels {
		k := &kernels[i]
		if err := files.WriteHeader(&tar.Header{Name: k.name + ".btf", Size: int64(len(k.types)), Mode: 0o644}); err != nil {
			return nil, err
		}
		if _, err := files.Write(k.types); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}
