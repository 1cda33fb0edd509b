/* The official vectors of CRC-32C, BLAKE3 and Keccak-256. */
#include "lc_test.h"

#include "base/base_internal.h"

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    char text[2 * 64];
    lc_hex_encode(got, n, text);
    assert_span_text(LC_SPAN(text, 2 * n), want);
}

/* RFC 3720, appendix B.4, and the check value of the catalogue. */
LC_TEST(crc32c_vectors)
{
    uint8_t bytes[48];
    assert_int_equal(lc_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(lc_crc32c(0, NULL, 0), 0);
    memset(bytes, 0, 32);
    assert_int_equal(lc_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(lc_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(lc_crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(lc_crc32c(0, bytes, 32), 0x113fdb5c);
    static const uint8_t scsi_read[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    assert_int_equal(lc_crc32c(0, scsi_read, 48), 0xd9963a56);
}

/* The instruction, three lanes at a time, against the table: every length over the seams, every
 * alignment, and in pieces. */
LC_TEST(crc32c_ways_agree)
{
    enum { N = 5000 };
    static uint8_t bytes[N + 8];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)lc_test_random(&random);
    for (size_t n = 0; n <= N; n++) {
        const uint8_t *p = bytes + n % 8;
        uint32_t whole = lc_crc32c(7, p, n);
        assert_int_equal(whole, lc_crc32c_software(7, p, n));
        size_t cut = n ? lc_test_random(&random) % n : 0;
        assert_int_equal(whole, lc_crc32c(lc_crc32c(7, p, cut), p + cut, n - cut));
    }
}

/* The published test_vectors.json: input byte i is i mod 251; the first 32 bytes of each hash. */
LC_TEST(blake3_vectors)
{
    static const struct {
        size_t len;
        const char *hash;
    } cases[] = {
        {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
        {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
        {2, "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63"},
        {63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"},
        {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
        {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"},
        {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
        {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
        {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
        {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
        {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
        {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"},
        {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
        {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"},
        {5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833"},
        {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
        {16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4"},
        {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
        {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
    };
    static uint8_t input[102400];
    for (size_t i = 0; i < sizeof input; i++) input[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        uint8_t hash[32];
        lc_blake3(input, cases[i].len, hash);
        assert_hex(hash, 32, cases[i].hash);
    }
}

LC_TEST(keccak256_vectors)
{
    uint8_t hash[32];
    lc_keccak256("", 0, hash);
    assert_hex(hash, 32, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    lc_keccak256("abc", 3, hash);
    assert_hex(hash, 32, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    lc_keccak256("The quick brown fox jumps over the lazy dog", 43, hash);
    assert_hex(hash, 32, "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15");
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(crc32c_vectors), cmocka_unit_test(crc32c_ways_agree),
                       cmocka_unit_test(blake3_vectors), cmocka_unit_test(keccak256_vectors));
}
