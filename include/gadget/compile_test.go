// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/include"
)

// compilers are all those present that gadgets may be built with.
func compilers(t *testing.T) []string {
	t.Helper()
	clang(t) // at least one, or this isn't a test
	var found []string
	for version := 14; version < 40; version++ {
		name := fmt.Sprint("clang-", version)
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		found = []string{"clang"}
	}
	return found
}

// headers are the API's, as a gadget includes them.
func headers(t *testing.T) (names []string) {
	t.Helper()
	return glob(t, "*.h")
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(pattern, files, err)
	}
	return files
}

// includes returns a source that includes headers in the given order. For some
// headers it defines which of their parts to use.
func includes(names ...string) string {
	var b strings.Builder
	b.WriteString("#define GADGET_TYPE_TRACING\n")
	for _, name := range names {
		b.WriteString("#include <gadget/" + name + ">\n")
	}
	return b.String()
}

// orders returns permutations of n numbers in which each number has each of the
// others right before it at least once. Modulo n, the zigzag 0, n-1, 1, n-2, …
// steps by every distance once; its reverse has the missing distances of an odd n.
func orders(n int) (all [][]int) {
	zigzag := make([]int, n)
	for i := range zigzag {
		zigzag[i] = i / 2
		if i%2 == 1 {
			zigzag[i] = n - 1 - i/2
		}
	}
	for shift := range n {
		there, back := make([]int, n), make([]int, n)
		for i, z := range zigzag {
			there[i] = (z + shift) % n
			back[n-1-i] = there[i]
		}
		all = append(all, there)
		if n%2 == 1 {
			all = append(all, back)
		}
	}
	return all
}

func TestOrders(t *testing.T) {
	for n := range 20 {
		seen := map[[2]int]bool{}
		for _, order := range orders(n) {
			for i := 1; i < n; i++ {
				seen[[2]int{order[i-1], order[i]}] = true
			}
		}
		if want := n * max(n-1, 0); len(seen) != want {
			t.Errorf("%d: %d pairs, want %d", n, len(seen), want)
		}
	}
}

func checkCompiles(t *testing.T, cc, source string, args ...string) {
	t.Helper()
	if out, err := compileSource(t, cc, source, args...); err != nil {
		t.Errorf("%s: %v\n%s\n%s", cc, err, source, out)
	}
}

// All headers together compile with every compiler. Each header alone, and each right after each other header,
// compiles with one compiler: a missing include or a conflict is the same for all.
func TestHeadersCompile(t *testing.T) {
	t.Parallel()
	all := headers(t)
	for _, cc := range compilers(t) {
		checkCompiles(t, cc, includes(all...), "-c", "-o", "/dev/null")
	}
	for _, name := range all {
		checkCompiles(t, clang(t), includes(name), "-fsyntax-only")
	}
	for _, order := range orders(len(all)) {
		names := make([]string, len(all))
		for i, n := range order {
			names[i] = all[n]
		}
		checkCompiles(t, clang(t), includes(names...), "-fsyntax-only")
	}
}

// Sources for other loaders include one header and use definitions from headers that it includes; so gizmo's headers include them, too.
func TestHeadersBringOthers(t *testing.T) {
	t.Parallel()
	for header, names := range map[string]string{
		"common.h":           "gadget_get_mntns_id gadget_get_current_mntns_id",
		"filter.h":           "gadget_get_mntns_id gadget_get_current_mntns_id gadget_should_discard_mntns_id",
		"kernel_stack_map.h": "gadget_get_kernel_stack",
		"mntns_filter.h":     "gadget_get_mntns_id gadget_get_current_mntns_id",
		"user_stack_map.h":   "fnv_32a_init gadget_get_syscall_nr",
	} {
		source := includes(header) + "gadget_pid pid;\nSEC(\"kprobe/x\") int BPF_KPROBE(p, struct task_struct *t)\n{\n"
		for _, name := range strings.Fields(names) {
			source += "\t(void)" + name + ";\n"
		}
		checkCompiles(t, clang(t), source+"\treturn bpf_ntohl(BPF_CORE_READ(t, pid));\n}\n", "-fsyntax-only")
	}
}

// Names that the headers of other loaders have.
func TestOlderNames(t *testing.T) {
	t.Parallel()
	checkCompiles(t, clang(t), includes("kernel_stack_map.h", "sockets-map.h")+`
_Static_assert(PERF_MAX_STACK_DEPTH == 127 && KERNEL_STACK_MAP_MAX_ENTRIES == 10000, "");
__u64 f(struct sock *sk) { struct sockets_value *v = gadget_socket_lookup(sk, 1); return v ? v->mntns : 0; }
`, "-fsyntax-only", "-Werror")
}

// The test programs are gadgets, too: they compile with every compiler. Those in the folder wild only
// use, together, everything that the headers offer, in the ways of authors of other
// gadgets.
func TestProgramsCompile(t *testing.T) {
	programs := append(glob(t, "testdata/*.bpf.c"), glob(t, "testdata/wild/*.bpf.c")...)
	for _, cc := range compilers(t) {
		t.Run(cc, func(t *testing.T) {
			t.Parallel()
			for _, program := range programs {
				args := clangFlags("-c", program, "-o", "/dev/null")
				if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", program, err, out)
				}
			}
		})
	}
}

// And for each architecture.
func TestProgramsForArchitectures(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		if arch == runtime.GOARCH {
			continue // above
		}
		for _, program := range append(glob(t, "testdata/*.bpf.c"), glob(t, "testdata/wild/*.bpf.c")...) {
			args := clangFlagsFor(arch, "-c", program, "-o", "/dev/null")
			if out, err := exec.Command(clang(t), args...).CombinedOutput(); err != nil {
				t.Errorf("%s for %s: %v\n%s", program, arch, err, out)
			}
		}
	}
}

// offered are the names that gadgets elsewhere use of our headers, by header.
var offered = map[string]string{
	"bits.bpf.h": "log2 log2l get_slot_idx",
	"buffer.h":   "GADGET_TRACER_MAP gadget_reserve_buf gadget_submit_buf gadget_discard_buf gadget_output_buf GADGET_NO_BUF_RESERVE",
	"common.h":   "gadget_process_populate",
	"core_fixes.bpf.h": "get_task_state get_gendisk get_disk has_block_rq_completion has_kfree has_kmem_cache_free " +
		"renamedata_has_old_mnt_userns_field gadget_get_tcp_retransmit_skb_skbaddr gadget_get_tcp_retransmit_skb_skaddr " +
		"gadget_get_ctime_nanosec_from_inode gadget_get_syscall_nr gadget_get_syscall_arg",
	"filesystem.h": "GADGET_PATH_MAX get_path_str get_struct_file_for_fd read_full_path_of_open_file_fd",
	"filter.h": "gadget_should_discard_data gadget_should_discard_data_current gadget_should_discard_data_by_skb " +
		"gadget_should_discard_pid gadget_should_discard_tid gadget_should_discard_uid gadget_should_discard_gid " +
		"gadget_should_discard_comm gadget_should_discard_mntns_id",
	"fnv1a.h": "fnv_32a_init fnv_32a_update_u8 fnv_32a_update_u16 fnv_32a_update_u32 fnv_32a_update_u64 " +
		"fnv_64a_init fnv_64a_update_u8 fnv_64a_update_u16 fnv_64a_update_u32 fnv_64a_update_u64",
	"gpu_types.h": "GPU_SCHEMA_VERSION GPU_MAX_DEVICES GPU_DEVICE_PRIMARY_MULTI gpu_meta gpu_device_metrics gpu_pid_metrics " +
		"gpu_pid_metrics_aggregated",
	"gpu_bridge_maps.h": "GPU_BRIDGE_WANT_META GPU_BRIDGE_WANT_DEVICE GPU_BRIDGE_WANT_PER_PID GPU_BRIDGE_WANT_PER_PID_PER_DEVICE " +
		"GPU_BRIDGE_WANT_ALL gpu_meta gpu_device gpu_per_pid gpu_per_pid_per_device gpu_meta_fresh gpu_pid_holder",
	"kernel_stack_map.h": "gadget_get_kernel_stack",
	"macros.h": "GADGET_TRACER GADGET_MAPITER GADGET_ITER GADGET_SNAPSHOTTER GADGET_PARAM GADGET_ITER_TARGET_MAP " +
		"GADGET_SK_TARGET_MAP",
	"maps.bpf.h":     "bpf_map_lookup_or_try_init",
	"mntns.h":        "gadget_get_current_mntns_id gadget_get_mntns_id",
	"packetfilter.h": "GADGET_PF gadget_pf_matches",
	"sockets-map.h":  "gadget_socket_value gadget_socket_lookup gadget_socket_lookup_with_direction gadget_process_populate_from_socket",
	"types.h": "gadget_mntns_id gadget_netns_id gadget_timestamp gadget_signal gadget_errno gadget_syscall gadget_file_mode " +
		"gadget_file_flags gadget_bytes gadget_duration gadget_kernel_stack gadget_user_stack gadget_pid gadget_tid gadget_ppid " +
		"gadget_uid gadget_gid gadget_comm gadget_pcomm gadget_counter__u64 gadget_gauge__u32 gadget_histogram_slot__u32 " +
		"gadget_histogram_slot__u64 gadget_l3endpoint_t gadget_l4endpoint_t gadget_process",
	"user_stack_map.h": "gadget_get_user_stack gadget_get_user_stack_from_kprobe gadget_get_user_stack_from_perf_event " +
		"gadget_get_user_stack_from_tracepoint collect_ustack collect_otel_stack ig_build_id_max_entries otel_generic_params " +
		"otel_tc_kprobe otel_tc_perf",
	"../compat/bpf/bpf_helpers.h":   "bpf_for bpf_ksym_exists likely unlikely __kptr_untrusted __arg_ctx",
	"../compat/bpf/bpf_tracing.h":   "BPF_UPROBE BPF_URETPROBE PT_REGS_PARM6 PT_REGS_PARM6_CORE_SYSCALL",
	"../compat/bpf/bpf_core_read.h": "bpf_core_cast",
}

// A program above uses each of these names, so it compiles wherever these programs compile.
func TestProgramsUseAll(t *testing.T) {
	var sources strings.Builder
	for _, program := range append(glob(t, "testdata/*.bpf.c"), glob(t, "testdata/wild/*.bpf.c")...) {
		source, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(source)
	}
	for header, names := range offered {
		text, err := os.ReadFile(header)
		if err != nil {
			t.Error(err)
		}
		for _, name := range strings.Fields(names) {
			word := regexp.MustCompile(`\b` + name + `\b`)
			if !word.Match(text) {
				t.Errorf("%s is not in %s", name, header)
			}
			if !word.MatchString(sources.String()) {
				t.Errorf("no program uses %s of %s", name, header)
			}
		}
	}
}

// Gadgets that process packets may include the types of user space. Then gizmo's headers must not include
// the kernel's types.
func TestHeadersWithUserTypes(t *testing.T) {
	names := []string{
		"base.h", "bits.bpf.h", "buffer.h", "filter.h", "fnv1a.h", "gpu_bridge_maps.h", "gpu_types.h", "macros.h", "maps.bpf.h", "mntns.h",
		"mntns_filter.h", "packetfilter.h", "sockets-map.h", "types.h",
	}
	for _, user := range []string{"linux/types.h", "linux/bpf.h", "linux/if_ether.h", "linux/tcp.h"} {
		source := "#include <" + user + ">\n#define GADGET_TYPE_NETWORKING\n"
		for _, name := range names {
			source += "#include <gadget/" + name + ">\n"
		}
		checkCompiles(t, clang(t), source, "-fsyntax-only")
	}
}

// If libbpf has a definition, include/compat neither repeats nor changes it.
func TestCompatWithNewerLibbpf(t *testing.T) {
	source := "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n" +
		"#include <bpf/bpf_core_read.h>\n#include <bpf/usdt.bpf.h>\n" + `
int bpf_for_is(void) { return bpf_for(); }
_Static_assert(bpf_for() + bpf_repeat() + bpf_for_each() + bpf_core_cast() + BPF_CORE_WRITE_BITFIELD() == 5, "");
_Static_assert(PT_REGS_PARM6() + PT_REGS_PARM8_CORE() + PT_REGS_PARM7_CORE_SYSCALL() == 3, "");
`
	checkCompiles(t, clang(t), source, "-isystem", "testdata/newlibbpf", "-fsyntax-only")
}

// Mistakes that C can detect must not compile, and the message must say why.
func TestMistakes(t *testing.T) {
	const start = `
#include <gadget/buffer.h>
struct event { __u64 n; };
GADGET_TRACER_MAP(events, 4096);
`
	tests := []struct{ name, source, says string }{
		{"tracer of no map", "GADGET_TRACER(a, nomap, event);", "'nomap'"},
		{"tracer of no type", "GADGET_TRACER(a, events, notype);", "struct notype"},
		{"iterator of no type", "GADGET_ITER(a, notype, p);", "struct notype"},
		{"iterator of four programs", "GADGET_ITER(a, event, p1, p2, p3, p4);", "at most three programs"},
		{"map iterator of no map", "GADGET_MAPITER(a, nomap);", "'nomap'"},
		{"target of no map", "GADGET_ITER_TARGET_MAP(p, nomap);", "'nomap'"},
		{"socket target of no map", "GADGET_SK_TARGET_MAP(p, nomap);", "'nomap'"},
		{"parameter without a variable", "GADGET_PARAM(novar);", "'novar'"},
		{
			"event too large", "void *f(void) { return gadget_reserve_buf(&events, 10241); }",
			"larger than GADGET_MAX_EVENT_SIZE",
		},
		{
			"event too large for any buffer", "void *f(void *map) { return gadget_reserve_buf(map, 10241); }",
			"larger than GADGET_MAX_EVENT_SIZE",
		},
		{
			"packet filter without bounds", `
#include <gadget/packetfilter.h>
GADGET_PF();
int f(void *p) { return gadget_pf_matches(p, p); }`, "gadget_pf_matches takes",
		},
		{
			"socket of neither kind", `
#include <gadget/sockets-map.h>
void *f(void *p) { return gadget_socket_lookup(p); }`, "define GADGET_TYPE_NETWORKING",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := compileSource(t, clang(t), start+tt.source, "-fsyntax-only")
			if err == nil || !strings.Contains(out, tt.says) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	checkCompiles(t, clang(t), start+"void *f(void) { return gadget_reserve_buf(&events, 10240); }", "-fsyntax-only")
}

// The embedded copy has every header that the folder has.
func TestEmbedded(t *testing.T) {
	want := append(headers(t), glob(t, "../compat/*/*.h")...)
	want = append(want, "../vmlinux/amd64/vmlinux.h", "../vmlinux/arm64/vmlinux.h")
	for _, name := range want {
		path := filepath.Join("gadget", name)
		if b, err := fs.ReadFile(include.FS, path); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
}
