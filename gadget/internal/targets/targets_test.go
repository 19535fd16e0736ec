// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package targets

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseFunction(t *testing.T) {
	t.Parallel()
	tests := map[string]Function{
		"libc:malloc":                        {File: "libc", Symbol: "malloc"},
		"/usr/bin/bash:readline":             {File: "/usr/bin/bash", Symbol: "readline"},
		"libc:malloc+16":                     {File: "libc", Symbol: "malloc", Offset: 16},
		"libc:malloc+0x10":                   {File: "libc", Symbol: "malloc", Offset: 16},
		"libc:malloc@GLIBC_2.2.5":            {File: "libc", Symbol: "malloc@GLIBC_2.2.5"},
		"libc:malloc@@GLIBC_2.2.5+1":         {File: "libc", Symbol: "malloc@@GLIBC_2.2.5", Offset: 1},
		"/a:main.(*T).Do":                    {File: "/a", Symbol: "main.(*T).Do"},
		"/a:type:.eq.x":                      {File: "/a", Symbol: "type:.eq.x"},
		"/a:operator+":                       {File: "/a", Symbol: "operator+"},
		"/a:c++.Do":                          {File: "/a", Symbol: "c++.Do"},
		"/a:0x1234":                          {File: "/a", Symbol: "0x1234"},
		"/a:0x1234+4":                        {File: "/a", Symbol: "0x1234", Offset: 4},
		"/a:+4":                              {File: "/a", Symbol: "+4"},
		"/proc/1/root/lib/libc.so.6:a":       {File: "/proc/1/root/lib/libc.so.6", Symbol: "a"},
		"/a:x+18446744073709551616":          {File: "/a", Symbol: "x+18446744073709551616"},
		"/with space/and ünicode:fünction+1": {File: "/with space/and ünicode", Symbol: "fünction", Offset: 1},
	}
	for text, want := range tests {
		got, err := ParseFunction(text)
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseProbe(t *testing.T) {
	t.Parallel()
	got, err := ParseProbe("libc:libc:memory_malloc_retry")
	if want := (Probe{"libc", "libc", "memory_malloc_retry"}); err != nil || *got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "libc", "libc:", "libc:p", "libc:p:", "libc::n", ":p:n", "libc:p:n:m", "a/b:p:n"} {
		if got, err := ParseProbe(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestNoTarget(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                                 "attach_to",
		"libc":                             "want PATH:SYMBOL",
		"libc:":                            "want PATH:SYMBOL",
		":malloc":                          "want PATH:SYMBOL",
		"usr/bin/bash:readline":            "uprobe//usr/bin/bash:readline",
		"./a.out:main":                     "not absolute",
		"/a\x00b:main":                     "control characters",
		"/a:ma\nin":                        "control characters",
		"/a:" + strings.Repeat("x", 1<<20): "too long",
	}
	for text, want := range tests {
		got, err := ParseFunction(text)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.100q: %+v, %v, want %q", text, got, err, want)
		}
	}
}

func TestIsLibrary(t *testing.T) {
	t.Parallel()
	tests := []struct {
		short, file string
		want        bool
	}{
		{"libc", "libc.so.6", true},
		{"libc", "libc.so", true},
		{"libc", "libcap.so.2", false},
		{"libc", "libc.a", false},
		{"libc", "libc.sox", false},
		{"libc", "libc-2.36.so", false},
		{"libc", "libc.musl-x86_64.so.1", true},
		{"libc", "libc.musl-x86_64", false},
		{"libssl", "libssl.so.1.1", true},
		{"libssl", "libssl.so.3", true},
		{"libssl.so", "libssl.so.3", true},
		{"libssl.so.1", "libssl.so.1.1", true},
		{"libssl.so.1", "libssl.so.10", false},
		{"libssl.so.3", "libssl.so.3", true},
		{"libssl.so.3", "libssl.so.1.1", false},
		{"ld-linux-x86-64", "ld-linux-x86-64.so.2", true},
		{"", "libc.so.6", false},
		{"libstdc++", "libstdc++.so.6", true},
	}
	for _, test := range tests {
		if got := isLibrary(test.short, test.file); got != test.want {
			t.Errorf("%q is %q: %v", test.file, test.short, got)
		}
	}
}

// tree makes files and symbolic links ("-> target") below a new root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// found returns the paths and contents of the files that a name refers to.
func found(t *testing.T, f *Finder, name string) ([]string, error) {
	t.Helper()
	files, err := f.Find(name)
	var list []string
	for _, file := range files {
		data, err := io.ReadAll(file)
		if err != nil {
			t.Error(err)
		}
		if int64(len(data)) != file.Size {
			t.Errorf("%s: size %d, want %d", file.Path, file.Size, len(data))
		}
		list = append(list, file.Path+"="+string(data))
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	return list, err
}

func TestFindBelowRoot(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "host"})
	root := tree(t, map[string]string{
		"bin/app":                "app",
		"usr/lib/libx.so.1.2":    "x12",
		"usr/lib/libx.so.1":      "-> libx.so.1.2",
		"usr/lib/libx.so.2":      "x2",
		"lib":                    "-> usr/lib",
		"absolute":               "-> /bin/app",
		"climbs":                 "-> ../../../../../../bin/app",
		"leads/out":              "-> " + outside + "/secret",
		"loop":                   "-> loop",
		"usr/local/bin/tool":     "tool",
		"usr/lib64/libbroken.so": "-> nowhere",
	})
	f := &Finder{Root: root, Path: []string{"/bin", "/usr/local/bin"}, Arch: "amd64"}
	tests := []struct {
		name string
		want []string
		err  string
	}{
		{name: "/bin/app", want: []string{"/bin/app=app"}},
		{name: "//bin/../bin/app", want: []string{"//bin/../bin/app=app"}},
		{name: "/absolute", want: []string{"/absolute=app"}},
		{name: "/climbs", want: []string{"/climbs=app"}},
		{name: "/../../../bin/app", want: []string{"/../../../bin/app=app"}},
		{name: "/lib/libx.so.2", want: []string{"/lib/libx.so.2=x2"}},
		{name: "app", want: []string{"/bin/app=app"}},
		{name: "tool", want: []string{"/usr/local/bin/tool=tool"}},
		{name: "libx", want: []string{"/lib/libx.so.1=x12", "/lib/libx.so.2=x2"}},
		{name: "libx.so.2", want: []string{"/lib/libx.so.2=x2"}},
		{name: "/leads/out", err: "no file /leads/out"},
		{name: outside + "/secret", err: "no file"},
		{name: "/loop", err: "cannot read /loop"},
		{name: "/bin", err: "not a regular file"},
		{name: "/none", err: "no file /none"},
		{name: "libnone", err: "no library and no program is called libnone"},
		{name: "libbroken", err: "no file /usr/lib64/libbroken.so"},
	}
	for _, test := range tests {
		got, err := found(t, f, test.name)
		slices.Sort(got) // by readdir they come in any order
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "libx.so.1.2=", "libx.so.1=") // and so do names of the same file
		}
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestFindThroughCache(t *testing.T) {
	t.Parallel()
	cache := "ld.so-1.7.0\x00\x02\x00\x00\x00" +
		"\x03\x03\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00" +
		"\x03\x03\x00\x00\x00\x00\x00\x00\x17\x00\x00\x00" +
		"libx.so.1\x00/opt/libx.so\x00/same/libx.so\x00"
	root := tree(t, map[string]string{
		"etc/ld.so.cache": cache,
		"opt/libx.so":     "x", "same": "-> opt", "usr/lib/libx.so.1": "not in the cache", "usr/lib/liby.so.1": "y",
	})
	f := &Finder{Root: root, Arch: "amd64"}
	if got, err := found(t, f, "libx"); err != nil || !slices.Equal(got, []string{"/opt/libx.so=x"}) {
		t.Errorf("in the cache: %q, %v", got, err)
	}
	if got, err := found(t, f, "liby"); err != nil || !slices.Equal(got, []string{"/usr/lib/liby.so.1=y"}) {
		t.Errorf("not in the cache: %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/ld.so.cache"), []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := found(t, f, "libx"); err == nil || !strings.Contains(err.Error(), "/etc/ld.so.cache") {
		t.Errorf("a damaged cache: %q, %v", got, err)
	}
	if _, err := (&Finder{Root: root, Arch: "s390x"}).Find("libx"); err == nil {
		t.Error("a library of another architecture")
	}
}

func TestFindHere(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &Finder{Path: []string{filepath.Dir(self)}, Arch: "amd64"}
	for _, name := range []string{self, "/proc/self/exe", filepath.Base(self)} {
		files, err := f.Find(name)
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", name, files, err)
		}
		var st unix.Stat_t
		if err := unix.Stat(files[0].AttachPath(), &st); err != nil || st.Dev != files[0].ID.Device || st.Ino != files[0].ID.Inode {
			t.Errorf("%s: %v, %+v", name, err, files[0].ID)
		}
		if err := files[0].Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := (&Finder{Root: self}).Find("/x"); err == nil || !strings.Contains(err.Error(), "root directory") {
		t.Errorf("a root that is none: %v", err)
	}
}

// Nothing but regular files is opened: a pipe would block, and a device may notice.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/null", "/dev/tty"} {
		if _, err := (&Finder{}).Find(name); !errors.Is(err, errNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A target stays the file that was found, even if another file replaces it at its path.
func TestReplaced(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"app": "old", "new": "new"})
	files, err := (&Finder{Root: root}).Find("/app")
	if err != nil {
		t.Fatal(err)
	}
	defer files[0].Close()
	if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "app")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(files[0].AttachPath()); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"libc:malloc+0x10", "/a:p:n", "a/b:c", ":"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseFunction(text); err == nil && (got.File == "" || got.Symbol == "") {
			t.Errorf("%q: %+v", text, got)
		}
		if got, err := ParseProbe(text); err == nil && got.File+":"+got.Provider+":"+got.Name != text {
			t.Errorf("%q: %+v", text, got)
		}
	})
}
