/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The same in C++, whose names are mangled. */

#include <cstdint>

static volatile uint64_t sink;

namespace shop
{
template <typename T> struct Basket {
	__attribute__((noinline)) void count(T most)
	{
		for (volatile T i = 0; i < most; i = i + 1)
			sink = sink + i;
		__asm__ volatile("");
	}
};
} // namespace shop

int main()
{
	shop::Basket<int> basket;

	for (;;)
		basket.count(500000);
}
